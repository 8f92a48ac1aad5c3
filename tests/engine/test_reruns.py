"""Runs that have ended, run again: what is reused is not executed, what is wished is different."""

from itertools import count

import pytest

from rowel.core.errors import Conflict, Invalid, InvalidInputs, NotFound
from rowel.core.outcomes import Skip, Usage
from rowel.core.rerun import Fate
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus
from rowel.engine.reruns import Order
from rowel.store.runs import Filter
from tests.support.fake_nodes import once
from tests.support.flows import child, coalesce, flow, given, human, inline, loop, merge, router, work
from tests.support.house import Fuse, all_of, rested, save, started_and_rested, statuses, task_at, upload

APPROVE = PauseAction.APPROVE
CHAIN = flow("start>a a>b b>c c>end")
BODY = flow("start>inside inside>end")
ROUTED = flow(
    "start>route route.yes>a route.no>b a>pick b>pick",
    route=router(yes=("start.x", 1), no=("start.x", 2)),
    pick=coalesce("a", "b"),
)


async def repeated(engine, run_id, **order):
    """The rerun of a run, once nothing moves any more."""
    run = await engine.rerun(run_id, Order(**order))
    return await rested(engine, run.run.id)


async def failed_at(engine, stage, node_id, definition=CHAIN, inputs=None):
    """A run that failed at a node, which works from now on."""
    stage.on(node_id, once(ValueError("broken"), {"by": f"{node_id} again"}))
    view = await started_and_rested(engine, definition, inputs)
    assert view.run.status is RunStatus.FAILED
    return view


def fates(repeat):
    return dict(repeat.plan.fates)


def whys(repeat):
    return {step.node_id: step.why for step in repeat.plan.steps}


# What runs, and what is reused


async def test_a_failed_run_goes_on_at_what_failed_and_nothing_else_is_executed(engine, stage):
    old = await failed_at(engine, stage, "b", inputs={"start": {"x": 1}})

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert new.run.id != old.run.id
    assert (new.run.run_type, new.run.origin_id) == (RunType.RERUN, old.run.id)
    assert new.run.initial_inputs == {"start": {"x": 1}}
    assert new.outputs["end"] == {"c": {"by": "c"}}
    assert [stage.count(name) for name in "abc"] == [1, 2, 1]
    assert (await engine.get_run(old.run.id)).run == old.run


async def test_a_rerun_is_answered_before_it_moves_with_what_it_reuses(engine, stage):
    old = await failed_at(engine, stage, "b")
    stage.hold("b")

    new = await engine.rerun(old.run.id, Order())

    assert new.run.status is RunStatus.PENDING
    assert new.outputs == {"start": {}, "a": {"by": "a"}}
    assert statuses(new)["b"] is TaskStatus.PENDING
    stage.let_go("b")


async def test_reused_tasks_show_what_they_received_and_gave_and_cost_nothing(engine, stage):
    def act(inputs, context):
        context.spend(Usage(input_tokens=10, requests=1))
        context.log("said once")
        return {"x": 1}

    stage.on("a", act)
    old = await failed_at(engine, stage, "b")

    new = await repeated(engine, old.run.id)

    before, reused, run = task_at(old, "a"), task_at(new, "a"), task_at(new, "b")
    assert (reused.inputs, reused.outputs, reused.logs) == (before.inputs, before.outputs, before.logs)
    assert before.usage is not None
    assert reused.usage is None
    assert (reused.start_time, reused.end_time) == (new.run.start_time, new.run.start_time)
    assert (reused.is_reused, run.is_reused, before.is_reused) == (True, False, False)
    assert (reused.id, run.attempt) == (f"{new.run.id}.a", 1)


async def test_a_run_is_repeated_from_a_node(engine, stage):
    old = await started_and_rested(engine, CHAIN)

    new = await repeated(engine, old.run.id, from_nodes=["b"])

    assert new.run.status is RunStatus.COMPLETED
    assert [stage.count(name) for name in "abc"] == [1, 2, 2]
    assert new.outputs == old.outputs


async def test_a_completed_run_is_repeated_as_a_whole(engine, stage):
    old = await started_and_rested(engine, CHAIN, {"start": {"x": 1}})

    new = await repeated(engine, old.run.id)

    assert new.outputs == old.outputs
    assert [stage.count(name) for name in "abc"] == [2, 2, 2]
    assert not any(task.is_reused for task in new.tasks)


async def test_outputs_may_be_edited_and_all_behind_them_runs(engine, stage):
    old = await started_and_rested(engine, CHAIN)

    new = await repeated(engine, old.run.id, edits={"b": {"edited": True}})

    assert new.run.status is RunStatus.COMPLETED
    assert [stage.count(name) for name in "abc"] == [1, 1, 2]
    assert new.outputs["b"] == {"edited": True}
    assert stage.calls[-1].inputs == {"b": {"edited": True}}
    assert task_at(new, "b").is_given
    assert not task_at(new, "b").is_reused


async def test_where_nothing_is_left_to_run_the_rerun_ends_at_once(engine, stage):
    old = await started_and_rested(engine, flow("start>a"))

    new = await repeated(engine, old.run.id, edits={"a": {"edited": True}})

    assert new.run.status is RunStatus.COMPLETED
    assert new.outputs == {"start": {}, "a": {"edited": True}}
    assert stage.count("a") == 1


async def test_other_inputs_make_all_of_it_run(engine, stage):
    definition = flow("start>a a>b", start=given(x="int"))
    old = await started_and_rested(engine, definition, {"start": {"x": 1}})

    new = await repeated(engine, old.run.id, initial_inputs={"start": {"x": 2}})

    assert new.run.initial_inputs == {"start": {"x": 2}}
    assert stage.calls[-2].inputs == {"start": {"x": 2}}
    assert [stage.count(name) for name in "ab"] == [2, 2]


async def test_a_canceled_run_goes_on_where_it_stopped(engine, stage):
    stage.hold("b")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("b")
    await engine.cancel(run.run.id)
    stage.let_go("b")

    new = await repeated(engine, run.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert [stage.count(name) for name in "abc"] == [1, 2, 1]


async def test_a_rerun_may_be_repeated_itself(engine, stage):
    old = await failed_at(engine, stage, "b")
    stage.on("c", once(ValueError("broken too"), {"by": "c"}))
    second = await repeated(engine, old.run.id)
    assert second.run.status is RunStatus.FAILED

    third = await repeated(engine, second.run.id)

    assert third.run.status is RunStatus.COMPLETED
    assert third.run.origin_id == second.run.id
    assert [stage.count(name) for name in "abc"] == [1, 2, 2]
    assert all(task_at(third, name).is_reused for name in "ab")


async def test_a_failed_node_is_left_alone_where_only_edited_ones_need_it(engine, stage):
    old = await failed_at(engine, stage, "b")

    new = await repeated(engine, old.run.id, edits={"c": {"x": 1}})

    assert new.run.status is RunStatus.COMPLETED
    assert statuses(new)["b"] is TaskStatus.CANCELED
    assert new.outputs["end"] == {"c": {"x": 1}}
    assert [stage.count(name) for name in "abc"] == [1, 1, 0]


# Routers, people, containers


async def test_a_reused_router_keeps_its_route(engine, stage):
    old = await failed_at(engine, stage, "a", ROUTED, {"start": {"x": 1}})
    assert old.outputs.keys() == {"start", "route"}

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert statuses(new)["b"] is TaskStatus.CANCELED
    assert new.outputs["pick"] == {"by": "a again"}
    assert (stage.count("a"), stage.count("b")) == (2, 0)


async def test_an_edited_router_fires_the_routes_that_hold_data(engine, stage):
    old = await started_and_rested(engine, ROUTED, {"start": {"x": 1}})

    new = await repeated(engine, old.run.id, edits={"route": {"yes": None, "no": {"start": {"x": 9}}}})

    assert new.run.status is RunStatus.COMPLETED
    assert statuses(new)["a"] is TaskStatus.CANCELED
    assert stage.calls[-1].inputs == {"route": {"start": {"x": 9}}}
    assert (stage.count("a"), stage.count("b")) == (1, 1)


async def test_what_had_nothing_to_pass_on_stays_canceled(engine, stage):
    stage.on("silent", Skip())
    old = await started_and_rested(engine, flow("start>silent silent>after start>a"))
    assert (old.run.status, statuses(old)["after"]) == (RunStatus.COMPLETED, TaskStatus.CANCELED)

    new = await repeated(engine, old.run.id, from_nodes=["a"])

    assert new.run.status is RunStatus.COMPLETED
    assert statuses(new) == statuses(old)
    assert (stage.count("silent"), stage.count("a")) == (1, 2)


async def test_an_answer_is_reused_unless_the_question_runs_again(engine, stage):
    definition = flow("start>before before>ask ask>after", ask=human())
    run = await started_and_rested(engine, definition)
    await engine.decide(run.run.id, APPROVE, {"by": "ann"}, "ann")
    old = await rested(engine, run.run.id)

    after = await repeated(engine, old.run.id, from_nodes=["after"])
    asked = await repeated(engine, old.run.id, from_nodes=["before"])

    assert after.run.status is RunStatus.COMPLETED
    assert after.outputs["ask"] == old.outputs["ask"]
    assert asked.run.status is RunStatus.PAUSED
    await engine.decide(asked.run.id, APPROVE, {"by": "bob"}, "bob")
    assert (await rested(engine, asked.run.id)).outputs["ask"]["by"] == "bob"


async def test_who_declined_is_asked_again(engine, stage):
    run = await started_and_rested(engine, flow("start>a a>ask ask>b", ask=human()))
    await engine.decide(run.run.id, PauseAction.DECLINE, {}, "ann")
    old = await rested(engine, run.run.id)
    assert old.run.status is RunStatus.CANCELED

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.PAUSED
    assert stage.count("a") == 1


@pytest.mark.parametrize("container", [loop(BODY, 3), inline(BODY)], ids=lambda node: node["node_type"])
async def test_a_container_is_reused_with_what_ran_inside(engine, stage, container):
    old = await failed_at(engine, stage, "b", flow("start>box box>b b>end", box=container))
    before = stage.count("inside")

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert stage.count("inside") == before
    inner = {task.path: task for task in new.tasks if task.parent_path == "box"}
    assert inner.keys() == {task.path for task in old.tasks if task.parent_path == "box"}
    assert all(task.is_reused for task in inner.values())
    assert new.body_outputs(task_at(new, "box")) == old.body_outputs(task_at(old, "box"))


async def test_a_container_that_failed_inside_runs_as_a_whole(engine, stage):
    stage.on("inside", once(ValueError("broken"), {"by": "inside"}))
    old = await started_and_rested(engine, flow("start>box box>b", box=loop(BODY, 2)))
    assert old.run.status is RunStatus.FAILED

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert stage.count("inside") == 3
    assert not any(task.is_reused for task in new.tasks if task.path.startswith("box"))


async def test_a_child_run_is_not_run_again_where_its_node_is_reused(engine, stage):
    inner = await save(engine, flow("start>inside inside>end"))
    old = await failed_at(engine, stage, "b", flow("start>sub sub>b", sub=child(inner)))

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert new.outputs["sub"] == old.outputs["sub"]
    assert stage.count("inside") == 1


# Which runs


async def test_a_row_of_a_batch_is_repeated_as_a_run_of_its_own(engine, stage):
    stage.on("b", once(ValueError("broken"), {"by": "b"}))
    workflow_id = await save(engine, flow("start>a a>b", start=given(x="int")))
    dataset = await upload(engine, "x\n7\n")
    batch = await engine.start_batch(workflow_id, dataset.id)
    before = await rested(engine, batch.run.id)
    (row,) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)

    new = await repeated(engine, row.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert (new.run.owner_id, new.run.row_index, new.run.parent_run_id) == (None, None, None)
    assert new.outputs["start"] == {"x": 7}
    assert (stage.count("a"), stage.count("b")) == (1, 2)
    assert await engine.get_run(batch.run.id) == before


async def test_a_partial_run_is_repeated_on_what_it_was_given(engine, stage):
    definition = flow("start>a start>b a>join b>join join>end", join=merge())
    workflow_id = await save(engine, definition)
    old = await engine.run_partial(workflow_id, "join", None, {"a": {"given": 1}})

    new = await repeated(engine, old.run.id)

    assert new.run.run_type is RunType.RERUN
    assert new.outputs == old.outputs
    assert (stage.count("a"), stage.count("b")) == (0, 2)
    assert task_at(new, "a").is_given


async def test_a_partial_run_is_repeated_from_what_it_was_given(engine, stage):
    old = await engine.run_partial(await save(engine, CHAIN), "c", None, {"b": {"given": 1}})

    new = await repeated(engine, old.run.id, from_nodes=["b"])

    assert new.run.status is RunStatus.COMPLETED
    assert new.outputs["b"] == {"by": "b"}
    assert [task.node_id for task in new.tasks] == ["start", "a", "b", "c"]


async def test_a_partial_run_that_failed_goes_on_at_what_failed(engine, stage):
    stage.on("b", once(ValueError("broken"), {"by": "b"}))
    old = await engine.run_partial(await save(engine, CHAIN), "c")

    new = await repeated(engine, old.run.id)

    assert new.run.status is RunStatus.COMPLETED
    assert [stage.count(name) for name in "abc"] == [1, 2, 1]
    with pytest.raises(Invalid, match="'end' is not before 'c'"):
        await engine.rerun(old.run.id, Order(from_nodes=["end"]))


async def test_reruns_are_found_by_the_run_that_they_repeat(engine, stage):
    old = await started_and_rested(engine, CHAIN)
    new = [await repeated(engine, old.run.id) for _ in range(2)]
    await repeated(engine, new[0].run.id)

    found = await engine.list_runs(Filter(origin_id=old.run.id), limit=10)

    assert {view.run.id for view in found} == {view.run.id for view in new}


async def test_a_rerun_tells_its_events_from_the_first(engine, stage):
    old = await failed_at(engine, stage, "b")
    new = await repeated(engine, old.run.id)

    told = await all_of(engine.events(new.run.id))

    assert [event.number for event in told] == list(range(1, len(told) + 1))
    assert {event.body["node_id"] for event in told if event.kind == "task"} == {"b", "c", "end"}


# Other versions


async def change(engine, workflow_id, definition):
    await engine.update_workflow(workflow_id, "changed", definition, None)


async def test_a_rerun_stays_on_the_version_of_its_run(engine, stage):
    old = await failed_at(engine, stage, "b")
    await change(engine, old.run.workflow_id, flow("start>a a>b b>c c>end", b=work(gives={"new": 1})))

    new = await repeated(engine, old.run.id)

    assert new.run.version == old.run.version == 1
    assert new.outputs["b"] == {"by": "b again"}


async def test_on_the_latest_version_only_what_differs_and_all_behind_it_runs(engine, stage):
    old = await started_and_rested(engine, CHAIN)
    await change(engine, old.run.workflow_id, flow("start>a a>b b>c c>end", b=work(gives={"new": 1})))

    new = await repeated(engine, old.run.id, version="latest")

    assert new.run.version == 2
    assert new.outputs["b"] == {"new": 1}
    assert [stage.count(name) for name in "abc"] == [1, 2, 2]
    back = await repeated(engine, new.run.id, version=1)
    assert (back.run.version, back.outputs["b"]) == (1, {"by": "b"})


async def test_the_plan_says_what_differs(engine, stage):
    definition = flow(
        "start>a start>b start>c start>box start>ask b>d e>f a>g g>h",
        box=loop(BODY, 1),
        ask=human(),
        e=work(),
    )
    run = await started_and_rested(engine, definition)
    await engine.decide(run.run.id, APPROVE, {}, "ann")
    await rested(engine, run.run.id)
    changed = flow(
        "start>a start>b start>c start>box start>ask ask.declined>d e>f c>g b>h new",
        a={"title": "A", **work()},
        b=work(gives={"x": True}),
        c=merge(),
        box=loop(flow("start>inside inside>end", inside=work(gives={"x": 1})), 1),
        ask=human(),
    )
    await change(engine, run.run.workflow_id, changed)

    plan = await engine.plan_rerun(run.run.id, Order(version="latest"))

    found = whys(plan)
    assert found["b"] == "its config differs in version 2"
    assert found["c"] == "its type differs in version 2"
    assert found["box"] == "its body differs in version 2"
    assert found["ask"] == "what leaves it differs in version 2"
    assert found["h"] == "what leads to it differs in version 2"
    assert found["new"] == "it is new in version 2"
    reused = {node_id for node_id, fate in fates(plan).items() if fate is Fate.REUSE}
    assert reused == {"start", "a", "e", "f"}


async def test_a_value_of_another_type_is_another_config(engine, stage):
    old = await started_and_rested(engine, flow("start>a", a=work(gives={"x": 1})))
    await change(engine, old.run.workflow_id, flow("start>a", a=work(gives={"x": True})))

    assert fates(await engine.plan_rerun(old.run.id, Order(version="latest")))["a"] is Fate.RUN


async def test_keys_in_another_order_are_no_other_config(engine, stage):
    old = await started_and_rested(engine, flow("start>a a>b", a=work(gives={"x": 1, "y": 2})))
    changed = flow("start>a a>b", a=work(gives={"y": 2, "x": 1}), b=work(gives={"x": 1}))
    await change(engine, old.run.workflow_id, changed)

    plan = await engine.plan_rerun(old.run.id, Order(version="latest"))

    assert fates(plan) == {"start": Fate.REUSE, "a": Fate.REUSE, "b": Fate.RUN}


async def test_a_node_under_another_title_is_received_anew_and_not_run(engine, stage):
    old = await started_and_rested(engine, flow("start>a a>b"))
    await change(engine, old.run.workflow_id, flow("start>a a>b", a={"title": "First", **work()}))

    await repeated(engine, old.run.id, version="latest")

    assert (stage.count("a"), stage.count("b")) == (1, 2)
    assert stage.calls[-1].inputs == {"First": {"by": "a"}}


async def test_on_an_equal_version_all_of_a_completed_run_runs_anew(engine, stage):
    old = await started_and_rested(engine, CHAIN)

    new = await repeated(engine, old.run.id, version="latest")

    assert new.run.version == 1
    assert [stage.count(name) for name in "abc"] == [2, 2, 2]


async def test_given_outputs_fire_what_they_would_in_the_version_that_runs(engine, stage):
    old = await engine.run_partial(
        await save(engine, flow("start>ask ask>a", ask=human())), "a", None, {"ask": {"x": 1}}
    )
    changed = flow("start>ask ask.declined>b b>a ask>a", ask=human(), a=coalesce("ask", "b"))
    await change(engine, old.run.workflow_id, changed)

    new = await repeated(engine, old.run.id, version="latest", from_nodes=["a"])

    assert new.run.status is RunStatus.COMPLETED
    assert new.outputs["a"] == {"x": 1}
    assert (statuses(new)["b"], stage.count("b")) == (TaskStatus.CANCELED, 0)


async def test_a_partial_run_of_a_node_that_is_gone_can_not_be_repeated(engine):
    old = await engine.run_partial(await save(engine, CHAIN), "c")
    await change(engine, old.run.workflow_id, flow("start>a a>b"))

    with pytest.raises(NotFound, match="'c'"):
        await engine.rerun(old.run.id, Order(version="latest"))


async def test_inputs_must_fit_the_version_that_runs(engine):
    old = await started_and_rested(engine, flow("start>a"), {"start": {"x": 1}})
    await change(engine, old.run.workflow_id, flow("start>a", start=given(name="string")))

    with pytest.raises(InvalidInputs, match="name"):
        await engine.rerun(old.run.id, Order(version="latest"))
    new = await repeated(engine, old.run.id, version="latest", initial_inputs={"start": {"name": "ann"}})
    assert new.run.status is RunStatus.COMPLETED


# The plan alone


async def test_a_plan_writes_nothing_and_is_what_the_rerun_does(engine, stage):
    old = await failed_at(engine, stage, "b")
    await change(engine, old.run.workflow_id, flow("start>a a>b b>c c>d", c=work(gives={"x": 1})))
    order = Order(edits={"b": {"x": 1}}, version="latest")
    before = len(stage.calls)

    repeat = await engine.plan_rerun(old.run.id, order)

    assert fates(repeat) == {
        "start": Fate.REUSE,
        "a": Fate.REUSE,
        "b": Fate.EDIT,
        "c": Fate.RUN,
        "d": Fate.RUN,
    }
    assert repeat.pinned.version.version == 2
    assert len(await engine.list_versions(old.run.workflow_id)) == 1
    assert len(await engine.list_runs(Filter(workflow_id=old.run.workflow_id), limit=10)) == 1
    assert len(stage.calls) == before
    new = await engine.rerun(old.run.id, order)
    assert new.run.version == 2
    assert {call.node_id for call in stage.calls[before:]} <= {"c", "d"}


async def test_a_plan_says_which_of_the_nodes_that_run_touch_the_outside(engine, stage):
    call = {"node_type": "HTTPRequestNode", "config": {"method": "GET", "url": "http://127.0.0.1:1/"}}
    inner = await save(engine, flow("start>inside inside>end"))
    old = await started_and_rested(
        engine,
        flow(
            "start>first start>a a>call a>box a>plain a>sub",
            first=call,
            call=call,
            box=loop(flow("start>deep deep>end", deep=call), 1, on_error="continue"),
            plain=loop(BODY, 1),
            sub=child(inner),
        ),
    )

    repeat = await engine.plan_rerun(old.run.id, Order(from_nodes=["a"], edits={"first": {"x": 1}}))

    assert {node_id for node_id in fates(repeat) if repeat.touches_outside(node_id)} == {"call", "box", "sub"}


# Refusals


async def test_an_open_run_is_refused_by_its_status(engine, stage):
    stage.hold("a")
    running = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    paused = await engine.run(await save(engine, flow("start>ask", ask=human())), None)

    for run, status in ((running, "RUNNING"), (paused, "PAUSED")):
        with pytest.raises(Conflict, match=f"is {status}") as refused:
            await engine.rerun(run.run.id, Order())
        assert refused.value.code == "still_open"
    stage.let_go("a")


async def test_a_batch_is_refused_and_told_of_redrive(engine):
    dataset = await upload(engine, "x\n1\n")
    batch = await engine.start_batch(await save(engine, CHAIN), dataset.id)
    await rested(engine, batch.run.id)

    with pytest.raises(Conflict, match="redrive") as refused:
        await engine.plan_rerun(batch.run.id, Order())
    assert refused.value.code == "is_batch"


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        ({"from_nodes": ["nobody"]}, NotFound, "from_nodes: the workflow has no node 'nobody'"),
        ({"edits": {"nobody": {}}}, NotFound, "edits: the workflow has no node 'nobody'"),
        ({"from_nodes": ["inside"]}, Invalid, "'inside' lies in the body of 'box'"),
        ({"from_nodes": ["box.0.inside"]}, Invalid, "in the body of 'box'"),
        ({"edits": {"inside": {}}}, Invalid, "edits: node 'inside' lies in the body of 'box'"),
        ({"edits": {"box": [1]}}, InvalidInputs, "edits: the outputs of node 'box' must be an object"),
        ({"edits": {"box": {"x": float("inf")}}}, InvalidInputs, "edits: "),
        ({"from_nodes": ["box"], "edits": {"box": {}}}, Invalid, "both chosen and edited"),
        ({"edits": {"start": {}}, "initial_inputs": {}}, Invalid, "'start' gets both"),
        ({"initial_inputs": {"box": {}}}, InvalidInputs, "'box' takes no inputs"),
        ({"initial_inputs": {"start": 1}}, InvalidInputs, "must be an object"),
        ({"version": 7}, NotFound, "no version 7"),
    ],
    ids=str,
)
async def test_what_can_not_be_is_refused_and_leaves_no_run(engine, order, error, words):
    old = await started_and_rested(engine, flow("start>box box>end", box=loop(BODY, 1)))

    for command in (engine.rerun, engine.plan_rerun):
        with pytest.raises(error, match=words):
            await command(old.run.id, Order(**order))
    assert len(await engine.list_runs(Filter(workflow_id=old.run.workflow_id), limit=10)) == 1


async def test_an_unknown_run_is_refused(engine):
    with pytest.raises(NotFound, match="nobody"):
        await engine.rerun("nobody", Order())


@pytest.mark.parametrize("version", ["same", "latest", 1])
async def test_nothing_new_starts_of_a_deleted_workflow(engine, version):
    old = await started_and_rested(engine, CHAIN)
    await engine.delete_workflow(old.run.workflow_id)

    with pytest.raises(NotFound, match="was deleted"):
        await engine.rerun(old.run.id, Order(version=version))


# Crashes


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_what_is_reused_is_never_executed_wherever_a_rerun_is_cut(house, stage, lands):
    definition = flow(
        "start>route route.yes>a route.no>b a>pick b>pick pick>box box>c c>d",
        route=router(yes=("start.x", 1), no=("start.x", 2)),
        pick=coalesce("a", "b"),
        box=loop(BODY, 2),
    )
    engine = await house.open()
    old = await failed_at(engine, stage, "c", definition, {"start": {"x": 1}})
    before = {name: stage.count(name) for name in ("a", "b", "inside")}
    for groups in count(1):
        new = await engine.rerun(old.run.id, Order())
        if not await Fuse(engine, groups, lands=lands).burn():
            break
        engine = await house.restart(engine)
        view = await rested(engine, new.run.id)

        assert view.run.status is RunStatus.COMPLETED
        assert statuses(view)["b"] is TaskStatus.CANCELED
        assert task_at(view, "box").is_reused
        assert view.outputs["d"] == {"by": "d"}
    assert groups > 2
    assert {name: stage.count(name) for name in before} == before


async def test_a_rerun_does_not_need_the_run_that_it_repeats_any_more(house, stage):
    engine = await house.open()
    old = await failed_at(engine, stage, "b")
    stage.hold("b")
    new = await engine.rerun(old.run.id, Order())
    await stage.begun("b", times=2)
    await house.crash(engine)
    house.execute("DELETE FROM tasks WHERE run_id = ?", old.run.id)
    house.execute("DELETE FROM runs WHERE id = ?", old.run.id)
    stage.let_go("b")

    view = await rested(await house.open(), new.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.origin_id == old.run.id
    assert stage.count("a") == 1
