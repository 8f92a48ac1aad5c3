"""Bodies that run several times."""

import pytest

from rowel.core.errors import NodeFailed
from rowel.core.status import RunStatus, TaskStatus
from tests.support.flows import flow, inline, loop, of_type, output, router, static, titled, work
from tests.support.house import save, started_and_rested, statuses, task_at

BODY = flow("start>add add>end", end=output(count="add.count"))


def adds_one(inputs, context):
    return {"count": inputs["start"]["count"] + 1}


def counts(times, **config):
    """A loop that counts on from the run's `count`."""
    return flow("start>loop loop>end", loop=loop(BODY, times, input_map={"count": "start.count"}, **config))


async def run(engine, definition, inputs=None):
    return await engine.run(await save(engine, definition), inputs)


async def test_the_body_runs_as_often_as_asked_each_time_on_what_the_last_gave(engine, stage):
    stage.on("add", adds_one)

    view = await run(engine, counts(4), {"start": {"count": 10}})

    assert view.run.status is RunStatus.COMPLETED
    assert [call.inputs["start"]["count"] for call in stage.calls] == [10, 11, 12, 13]
    assert view.outputs["loop"] == {"count": 14}
    assert view.outputs["end"] == {"loop": {"count": 14}}


async def test_each_iteration_sees_the_history_of_those_before(engine, stage):
    stage.on("add", adds_one)

    await run(engine, counts(3), {"start": {"count": 0}})

    histories = [call.inputs["start"]["loop_history"] for call in stage.calls]
    assert histories[0] == {}
    assert histories[2]["add"] == [{"count": 1}, {"count": 2}]
    assert histories[2]["end"] == [{"count": 1}, {"count": 2}]


async def test_without_an_input_map_the_body_gets_what_the_loop_received(engine, stage):
    definition = flow("start>loop", loop=loop(flow("start>add add>end"), 1))

    await run(engine, definition, {"start": {"x": 1}})

    assert stage.calls[0].inputs == {"start": {"start": {"x": 1}, "loop_history": {}}}


async def test_an_output_map_picks_from_the_last_iteration(engine, stage):
    stage.on("add", adds_one)

    view = await run(engine, counts(2, output_map={"last": "add.count"}), {"start": {"count": 0}})

    assert view.outputs["loop"] == {"last": 2}


async def test_there_is_one_task_for_each_node_and_iteration_under_the_loops_task(engine, stage):
    stage.on("add", adds_one)

    view = await run(engine, counts(2), {"start": {"count": 0}})

    inner = [task for task in view.tasks if task.parent_task_id is not None]
    assert {task.path for task in inner} == {
        f"loop.{iteration}.{node}" for iteration in (0, 1) for node in ("start", "add", "end")
    }
    assert {task.parent_task_id for task in inner} == {f"{view.run.id}.loop"}
    assert len({task.id for task in view.tasks}) == len(view.tasks) == 9


async def test_the_loops_task_shows_its_body_and_the_bodys_outputs_by_iteration(engine, stage):
    stage.on("add", adds_one)

    view = await run(engine, counts(3), {"start": {"count": 0}})

    task = task_at(view, "loop")
    assert [node["id"] for node in view.body(task)["nodes"]] == ["start", "add", "end"]
    outputs = view.body_outputs(task)
    assert outputs["add"] == outputs["end"] == [{"count": 1}, {"count": 2}, {"count": 3}]
    assert [entry["count"] for entry in outputs["start"]] == [0, 1, 2]


async def test_other_tasks_show_no_body(engine):
    view = await run(engine, flow("start>a"))

    assert view.body(task_at(view, "a")) is None
    assert view.body_outputs(task_at(view, "a")) is None


async def test_nodes_inside_do_not_count_for_the_runs_outputs_and_percentage(engine, stage):
    stage.on("add", adds_one)

    view = await run(engine, counts(3), {"start": {"count": 0}})

    assert view.outputs.keys() == {"start", "loop", "end"}
    assert view.percentage_complete == 100


async def test_a_body_may_be_made_of_nodes_that_name_the_loop_as_their_parent(engine, stage):
    stage.on("add", adds_one)
    inner = {"from": of_type("InputNode"), "add": work(), "to": output(count="add.count")}
    children = [{"id": name, "parent_id": "loop", **node} for name, node in inner.items()]
    stage.on("add", lambda inputs, context: {"count": inputs["from"]["count"] + 1})
    definition = flow(
        "start>loop loop>end",
        loop=of_type("ForLoopNode", num_iterations=3, input_map={"count": "start.count"}),
    )
    definition["nodes"] += children
    definition["links"] += flow("from>add add>to")["links"]

    view = await run(engine, definition, {"start": {"count": 0}})

    assert view.outputs["loop"] == {"count": 3}
    assert [node["id"] for node in view.body(task_at(view, "loop"))["nodes"]] == ["from", "add", "to"]


async def test_loops_inside_loops(engine, stage):
    stage.on("add", adds_one)
    outer_body = flow(
        "start>inner inner>end",
        inner=loop(BODY, 3, input_map={"count": "start.count"}),
        end=output(count="inner.count"),
    )
    definition = flow("start>outer outer>end", outer=loop(outer_body, 2, input_map={"count": "start.count"}))

    view = await run(engine, definition, {"start": {"count": 0}})

    assert view.outputs["outer"] == {"count": 6}
    assert stage.count("add") == 6
    assert task_at(view, "outer.1.inner.2.add").outputs == {"count": 6}
    assert task_at(view, "outer.1.inner.2.add").parent_task_id == f"{view.run.id}.outer.1.inner"
    assert view.body_outputs(task_at(view, "outer.1.inner"))["add"] == [{"count": n} for n in (4, 5, 6)]


async def test_a_loop_of_pure_nodes_may_be_long(engine):
    body = flow("start>one one>end", one=static(x=1), end=output(x="one.x"))

    view = await run(engine, flow("start>loop", loop=loop(body, 300)))

    assert view.run.status is RunStatus.COMPLETED
    assert len(view.body_outputs(task_at(view, "loop"))["one"]) == 300


async def test_a_failing_iteration_fails_the_loop_and_the_run(engine, stage):
    stage.on(
        "add",
        lambda inputs, context: (
            NodeFailed("too far") if inputs["start"]["count"] == 2 else adds_one(inputs, context)
        ),
    )

    view = await run(engine, counts(5), {"start": {"count": 0}})

    assert view.run.status is RunStatus.FAILED
    assert view.run.message == "Node 'loop' failed: node 'loop.2.add' in its body failed: too far"
    assert task_at(view, "loop").status is TaskStatus.FAILED
    assert task_at(view, "loop.2.add").status is TaskStatus.FAILED
    assert task_at(view, "loop.2.end").status is TaskStatus.CANCELED
    assert statuses(view)["end"] is TaskStatus.CANCELED
    assert stage.count("add") == 3


async def test_a_failing_loop_may_continue(engine, stage):
    stage.on("add", NodeFailed("broken"))

    view = await run(engine, counts(2, on_error="continue"), {"start": {"count": 0}})

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.message is None
    assert "broken" in view.outputs["loop"]["error"]


async def test_a_node_in_a_body_may_be_retried(engine, stage):
    attempts = []

    def act(inputs, context):
        attempts.append(context.attempt)
        return NodeFailed("broken") if context.attempt == 1 else adds_one(inputs, context)

    stage.on("add", act)
    body = flow(
        "start>add add>end",
        add=work(retry={"attempts": 2, "backoff_s": 0}),
        end=output(count="add.count"),
    )
    definition = flow("start>loop", loop=loop(body, 2, input_map={"count": "start.count"}))

    view = await run(engine, definition, {"start": {"count": 0}})

    assert view.outputs["loop"] == {"count": 2}
    assert attempts == [1, 2, 1, 2]


async def test_a_loop_whose_output_node_was_routed_out_is_canceled(engine):
    body = flow("start>route route.yes>end", route=router(yes=("start.x", 1)))

    view = await run(engine, flow("start>loop loop>a", loop=loop(body, 1)), {"start": {"x": 2}})

    assert view.run.status is RunStatus.COMPLETED
    assert statuses(view)["loop"] is statuses(view)["a"] is TaskStatus.CANCELED


async def test_an_input_map_that_names_nothing_fails_the_loop(engine):
    view = await run(engine, flow("start>loop", loop=loop(BODY, 1, input_map={"count": "start.missing"})))

    assert view.run.status is RunStatus.FAILED
    assert "'loop'" in view.run.message
    assert "missing" in view.run.message


async def test_a_subworkflow_of_its_own_runs_once(engine, stage):
    stage.on("add", adds_one)
    definition = flow(
        "start>sub sub>end", sub=titled(inline(BODY, input_map={"count": "start.count"}), "Part")
    )

    view = await run(engine, definition, {"start": {"count": 1}})

    assert view.outputs["sub"] == {"count": 2}
    assert view.outputs["end"] == {"Part": {"count": 2}}
    assert task_at(view, "sub.0.add").parent_task_id == f"{view.run.id}.sub"
    assert view.body_outputs(task_at(view, "sub"))["add"] == [{"count": 2}]


async def test_a_failure_inside_a_subworkflow_fails_it(engine, stage):
    stage.on("add", NodeFailed("broken"))

    view = await run(engine, flow("start>sub", sub=inline(BODY)), {"start": {"count": 1}})

    assert view.run.message == "Node 'sub' failed: node 'sub.0.add' in its body failed: broken"


async def test_while_a_loop_runs_its_finished_iterations_can_be_seen(engine, stage):
    stage.on("add", adds_one)
    workflow_id = await save(engine, counts(2))
    stage.hold("add")
    started = await engine.start(workflow_id, {"start": {"count": 0}})
    await stage.begun("add")

    view = await engine.get_run(started.run.id)

    assert task_at(view, "loop").status is TaskStatus.RUNNING
    assert task_at(view, "loop.0.start").status is TaskStatus.COMPLETED
    assert task_at(view, "loop.0.add").status is TaskStatus.RUNNING
    assert view.percentage_complete == pytest.approx(100 / 3)
    stage.let_go("add")


async def test_the_nodes_of_two_loops_side_by_side_are_told_apart(engine, stage):
    stage.on("add", adds_one)
    definition = flow(
        "start>one start>two one>end two>end",
        one=loop(BODY, 2, input_map={"count": "start.count"}),
        two=loop(BODY, 3, input_map={"count": "start.count"}),
    )

    view = await started_and_rested(engine, definition, {"start": {"count": 0}})

    assert (view.outputs["one"], view.outputs["two"]) == ({"count": 2}, {"count": 3})
