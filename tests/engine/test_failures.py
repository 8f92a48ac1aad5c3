"""What a failing node does to its run."""

import asyncio

import pytest

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Failure, Skip
from rowel.core.status import RunStatus, TaskStatus
from tests.support.flows import coalesce, flow, merge, of_type, router, work
from tests.support.house import rested, save, started_and_rested, statuses, task_at

COMPLETED, CANCELED, FAILED = TaskStatus.COMPLETED, TaskStatus.CANCELED, TaskStatus.FAILED


async def run(engine, definition, inputs=None):
    return await engine.run(await save(engine, definition), inputs)


async def test_a_failing_node_fails_its_run_with_a_message_that_names_it(engine, stage):
    stage.on("a", NodeFailed("the printer is on fire"))

    view = await run(engine, flow("start>a a>end"))

    assert view.run.status is RunStatus.FAILED
    assert view.run.message == "Node 'a' failed: the printer is on fire"
    assert view.run.end_time is not None
    assert task_at(view, "a").status is FAILED


async def test_the_error_is_the_message_first_and_then_the_trace(engine, stage):
    stage.on("a", NodeFailed("no such field", trace="line 3, in <code>\nline 4"))

    view = await run(engine, flow("start>a a>end"))

    assert task_at(view, "a").error == "no such field\nline 3, in <code>\nline 4"
    assert view.run.message == "Node 'a' failed: no such field"


async def test_nodes_behind_a_failure_are_canceled(engine, stage):
    stage.on("a", NodeFailed("broken"))

    view = await run(engine, flow("start>a a>b b>end"))

    assert statuses(view) == {"start": COMPLETED, "a": FAILED, "b": CANCELED, "end": CANCELED}
    assert stage.count("b") == 0
    assert all(task_at(view, node).error is None for node in ("b", "end"))


async def test_branches_beside_a_failure_finish_before_the_run_ends(engine, stage):
    stage.on("a", NodeFailed("broken"))
    stage.hold("b")
    view = await engine.start(await save(engine, flow("start>a start>b b>c c>d")), None)
    await stage.begun("b")
    await stage.begun("a")

    assert (await engine.get_run(view.run.id)).run.status is RunStatus.RUNNING
    stage.let_go("b")
    end = await rested(engine, view.run.id)

    assert end.run.status is RunStatus.FAILED
    assert statuses(end) == {"start": COMPLETED, "a": FAILED, "b": COMPLETED, "c": COMPLETED, "d": COMPLETED}
    assert end.outputs.keys() == {"start", "b", "c", "d"}


async def test_of_two_failures_the_message_names_the_first(engine, stage):
    stage.on("a", NodeFailed("first"))
    stage.on("b", NodeFailed("second"))
    stage.hold("b")
    view = await engine.start(await save(engine, flow("start>a start>b")), None)
    await stage.begun("b")
    async for event in engine.events(view.run.id):
        if event.kind == "task" and event.body["status"] == "FAILED":
            break
    stage.let_go("b")

    assert (await rested(engine, view.run.id)).run.message == "Node 'a' failed: first"


async def test_a_join_behind_a_failure_is_canceled_though_its_other_branch_lives(engine, stage):
    stage.on("a", NodeFailed("broken"))

    view = await run(engine, flow("start>a start>b a>join b>join join>end", join=merge()))

    assert statuses(view)["join"] is statuses(view)["end"] is CANCELED


async def test_an_exception_that_is_no_rowel_error_is_a_failure_too(engine, stage, caplog):
    stage.on("a", ZeroDivisionError("division by zero"))

    view = await run(engine, flow("start>a a>end"))

    assert view.run.message == "Node 'a' failed: ZeroDivisionError: division by zero"
    assert "Traceback" not in task_at(view, "a").error
    assert "a node raised what it should not" in caplog.text


async def test_a_failed_node_has_no_outputs(engine, stage):
    stage.on("a", Failure("broken"))

    view = await run(engine, flow("start>a"))

    assert task_at(view, "a").outputs is None
    assert task_at(view, "a").inputs == {"start": {}}
    assert view.outputs == {"start": {}}


async def test_a_node_with_nothing_to_pass_on_is_canceled_with_what_is_behind_it(engine, stage):
    stage.on("a", Skip())

    view = await run(engine, flow("start>a a>b start>c"))

    assert view.run.status is RunStatus.COMPLETED
    assert statuses(view) == {"start": COMPLETED, "a": CANCELED, "b": CANCELED, "c": COMPLETED}


async def test_on_error_continue_makes_the_message_the_nodes_outputs(engine, stage):
    stage.on("a", NodeFailed("broken", trace="line 1"))

    view = await run(engine, flow("start>a a>end", a=work(on_error="continue")))

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.message is None
    assert view.outputs["end"] == {"a": {"error": "broken"}}
    assert task_at(view, "a").status is COMPLETED
    assert task_at(view, "a").error == "broken\nline 1"


async def test_on_error_continue_works_for_pure_nodes_too(engine):
    lost = of_type("OutputNode", output_map={"x": "start.missing"}, on_error="continue")

    view = await run(engine, flow("start>end", end=lost))

    assert view.run.status is RunStatus.COMPLETED
    assert "missing" in view.outputs["end"]["error"]


async def test_a_node_that_takes_too_long_is_interrupted_and_fails(engine, stage):
    stage.on("a", lambda inputs, context: asyncio.Event().wait())

    view = await run(engine, flow("start>a a>end", a=work(timeout_s=0.01)))

    assert view.run.status is RunStatus.FAILED
    assert view.run.message == "Node 'a' failed: took longer than 0.01 s"
    assert stage.interrupted == [task_at(view, "a").id]


async def test_a_timeout_of_the_nodes_own_making_is_told_as_it_is(engine, stage):
    stage.on("a", TimeoutError("the far side did not answer"))

    view = await run(engine, flow("start>a"))

    assert view.run.message == "Node 'a' failed: TimeoutError: the far side did not answer"


async def test_a_node_knows_how_much_time_it_has(engine, stage):
    seen = []
    stage.on("a", lambda inputs, context: seen.append(context.timeout_s) or {})
    stage.on("b", lambda inputs, context: seen.append(context.timeout_s) or {})

    await run(engine, flow("start>a a>b", a=work(timeout_s=7)))

    assert seen == [7, 300]


async def test_a_failing_router_cancels_every_route(engine, stage):
    stage.on("a", NodeFailed("broken"))
    definition = flow(
        "start>a a>route route.yes>b route.no>c b>pick c>pick",
        route=router(yes=("a.x", 1), no=("a.x", 2)),
        pick=coalesce("b", "c"),
    )

    view = await run(engine, definition)

    assert view.run.status is RunStatus.FAILED
    assert {node for node, status in statuses(view).items() if status is CANCELED} == {
        "route",
        "b",
        "c",
        "pick",
    }


async def test_percentage_counts_completed_nodes_of_all(engine, stage):
    stage.on("a", NodeFailed("broken"))

    view = await run(engine, flow("start>a a>b start>c"))

    assert view.percentage_complete == pytest.approx(50)


async def test_one_runs_failure_leaves_other_runs_alone(engine, stage):
    stage.on("a", lambda inputs, context: NodeFailed("odd") if inputs["start"]["n"] % 2 else {})
    workflow_id = await save(engine, flow("start>a a>end"))

    views = await asyncio.gather(*(engine.run(workflow_id, {"start": {"n": n}}) for n in range(10)))

    assert [view.run.status for view in views] == [RunStatus.COMPLETED, RunStatus.FAILED] * 5


async def test_what_a_node_logged_and_spent_stays_with_its_task(engine, stage):
    def act(inputs, context):
        context.log("asked the model")
        return NodeFailed("broken")

    stage.on("a", act)

    view = await started_and_rested(engine, flow("start>a"))

    assert task_at(view, "a").logs == ("asked the model",)
