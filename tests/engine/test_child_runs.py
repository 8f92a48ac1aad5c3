"""Subworkflow nodes that run another workflow as a child run."""

import pytest

from rowel.core.errors import InvalidDefinition, NodeFailed
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.engine.workflows import KEEP
from rowel.store.runs import Filter
from tests.support.flows import child, flow, given, human, inline, loop, output, router, work
from tests.support.house import reaches, rested, save, statuses, task_at

APPROVE, DECLINE = PauseAction.APPROVE, PauseAction.DECLINE
PART = flow("start>a a>end", end=output(result="a.x"))


async def children(engine, run_id):
    """The runs under this one, oldest first."""
    return list(reversed(await engine.list_runs(Filter(parent_run_id=run_id), limit=100)))


async def with_child(engine, part=PART, picture="start>sub sub>end", **config):
    """The id of a workflow whose node `sub` runs `part`."""
    part_id = await save(engine, part, "part")
    return await save(engine, flow(picture, sub=child(part_id, **config)), "whole")


async def test_the_childs_output_is_the_nodes_output(engine, stage):
    stage.on("a", {"x": 7})

    view = await engine.run(await with_child(engine), {"start": {"n": 1}})

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["sub"] == {"result": 7}
    assert view.outputs["end"] == {"sub": {"result": 7}}


async def test_the_child_is_a_run_of_its_own_under_the_first(engine, stage):
    stage.on("a", {"x": 7})
    view = await engine.run(await with_child(engine), {"start": {"n": 1}})

    (part,) = await children(engine, view.run.id)

    assert part.run.parent_run_id == view.run.id
    assert part.run.status is RunStatus.COMPLETED
    assert part.run.workflow_id != view.run.workflow_id
    assert part.run.initial_inputs == {"start": {"start": {"n": 1}}}
    assert part.outputs["a"] == {"x": 7}


async def test_an_input_map_picks_what_the_child_gets(engine, stage):
    stage.on("a", {"x": 7})
    view = await engine.run(await with_child(engine, input_map={"amount": "start.n"}), {"start": {"n": 1}})

    (part,) = await children(engine, view.run.id)
    assert part.run.initial_inputs == {"start": {"amount": 1}}


async def test_the_newest_version_is_run_unless_one_is_named(engine, stage):
    part_id = await save(engine, flow("start>a a>end", a=work(gives={"x": "old"}), end=output(result="a.x")))
    await engine.run(part_id, None)
    edited = flow("start>a a>end", a=work(gives={"x": "new"}), end=output(result="a.x"))
    await engine.update_workflow(part_id, "part", edited, KEEP)
    definition = flow("start>newest start>first", newest=child(part_id), first=child(part_id, version=1))

    view = await engine.run(await save(engine, definition), None)

    assert view.outputs["newest"] == {"result": "new"}
    assert view.outputs["first"] == {"result": "old"}


async def test_a_child_of_a_deleted_workflow_can_still_be_run_by_version(engine):
    part_id = await save(engine, flow("start>end"))
    await engine.run(part_id, None)
    workflow_id = await save(engine, flow("start>sub", sub=child(part_id, version=1)))
    await engine.delete_workflow(part_id)

    assert (await engine.run(workflow_id, None)).run.status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("config", "message"), [({}, "There is no workflow 'made-up'"), ({"version": 3}, "no version 3")]
)
async def test_a_workflow_that_is_not_there_fails_the_node(engine, config, message):
    view = await engine.run(await save(engine, flow("start>sub", sub=child("made-up", **config))), None)

    assert view.run.status is RunStatus.FAILED
    assert "'sub'" in view.run.message
    assert message in view.run.message


async def test_inputs_that_do_not_fit_the_child_fail_the_node_and_leave_no_child(engine):
    workflow_id = await with_child(engine, flow("start>end", start=given(name="string")))

    view = await engine.run(workflow_id, None)

    assert view.run.status is RunStatus.FAILED
    assert "name" in view.run.message
    assert await children(engine, view.run.id) == []


async def test_a_failing_child_fails_the_node_with_its_message(engine, stage):
    stage.on("a", NodeFailed("broken"))

    view = await engine.run(await with_child(engine), None)

    (part,) = await children(engine, view.run.id)
    assert view.run.status is RunStatus.FAILED
    assert view.run.message == f"Node 'sub' failed: child run {part.run.id} failed: Node 'a' failed: broken"
    assert statuses(view)["end"] is TaskStatus.CANCELED


async def test_a_failing_child_may_be_passed_over(engine, stage):
    stage.on("a", NodeFailed("broken"))

    view = await engine.run(await with_child(engine, on_error="continue"), None)

    assert view.run.status is RunStatus.COMPLETED
    assert "broken" in view.outputs["sub"]["error"]


async def test_canceling_a_child_cancels_the_run_that_waits_for_it(engine, stage):
    stage.hold("a")
    run = await engine.start(await with_child(engine), None)
    await stage.begun("a")
    (part,) = await children(engine, run.run.id)

    await engine.cancel(part.run.id)
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.CANCELED
    assert statuses(view)["sub"] is statuses(view)["end"] is TaskStatus.CANCELED


async def test_canceling_a_run_cancels_its_children(engine, stage):
    stage.hold("a")
    run = await engine.start(await with_child(engine), None)
    await stage.begun("a")

    await engine.cancel(run.run.id)

    (part,) = await children(engine, run.run.id)
    assert part.run.status is RunStatus.CANCELED
    assert stage.interrupted == [f"{part.run.id}.a"]


async def test_a_child_that_waits_for_a_person_makes_its_owner_paused(engine):
    run = await engine.run(await with_child(engine, flow("start>ask ask>end", ask=human())), None)

    (part,) = await children(engine, run.run.id)
    assert part.run.status is RunStatus.PAUSED
    view = await rested(engine, run.run.id)
    assert view.run.status is RunStatus.PAUSED
    assert task_at(view, "sub").status is TaskStatus.PAUSED


async def test_approving_the_childs_pause_lets_both_go_on(engine):
    run = await engine.run(await with_child(engine, flow("start>ask ask>end", ask=human())), None)
    (part,) = await children(engine, run.run.id)

    await engine.decide(part.run.id, APPROVE, {"x": 1}, "ann", None)
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["sub"]["ask"]["x"] == 1


async def test_declining_the_childs_pause_cancels_both(engine):
    run = await engine.run(await with_child(engine, flow("start>ask ask>end", ask=human())), None)
    (part,) = await children(engine, run.run.id)

    await engine.decide(part.run.id, DECLINE, {}, "ann", "no")
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.CANCELED
    assert view.run.message == "Node 'ask' was declined by ann: no"


async def test_a_run_whose_child_moves_again_is_running(engine, stage):
    stage.hold("a")
    run = await engine.run(await with_child(engine, flow("start>ask ask>a a>end", ask=human())), None)
    (part,) = await children(engine, run.run.id)

    await engine.decide(part.run.id, APPROVE, {}, "ann", None)
    await stage.begun("a")

    view = await reaches(engine, run.run.id, RunStatus.RUNNING)
    assert task_at(view, "sub").status is TaskStatus.RUNNING
    stage.let_go("a")
    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_a_child_that_put_nothing_out_cancels_the_node(engine):
    part = flow("start>route route.yes>end", route=router(yes=("start.x", 1)))

    view = await engine.run(await with_child(engine, part), None)

    assert view.run.status is RunStatus.COMPLETED
    assert statuses(view)["sub"] is statuses(view)["end"] is TaskStatus.CANCELED


async def test_children_may_have_children(engine, stage):
    stage.on("a", {"x": 7})
    inner = await save(engine, PART)
    middle = await save(engine, flow("start>sub sub>end", sub=child(inner), end=output(y="sub.result")))

    view = await engine.run(await save(engine, flow("start>sub sub>end", sub=child(middle))), None)

    assert view.outputs["sub"] == {"y": 7}


async def test_a_loop_may_run_a_child_each_time(engine, stage):
    stage.on("a", lambda inputs, context: {"x": inputs["start"]["n"] + 1})
    part_id = await save(engine, PART)
    body = flow(
        "start>sub sub>end", sub=child(part_id, input_map={"n": "start.n"}), end=output(n="sub.result")
    )

    view = await engine.run(
        await save(engine, flow("start>loop", loop=loop(body, 3, input_map={"n": "start.n"}))),
        {"start": {"n": 0}},
    )

    assert view.outputs["loop"] == {"n": 3}
    assert len(await children(engine, view.run.id)) == 3


async def test_a_workflow_that_contains_itself_ends_in_a_failure(engine, stage):
    workflow_id = await save(engine, flow("start>end"))
    await engine.update_workflow(
        workflow_id, "endless", flow("start>sub sub>end", sub=child(workflow_id)), KEEP
    )

    view = await engine.run(workflow_id, None)

    assert view.run.status is RunStatus.FAILED
    assert "nested 8 deep" in view.run.message
    assert len(await engine.list_runs(Filter(workflow_id=workflow_id), limit=100)) == 8


async def test_a_subworkflow_with_a_body_and_a_workflow_is_refused(engine):
    both = inline(PART)
    both["config"]["workflow_id"] = "x"

    with pytest.raises(InvalidDefinition, match="more than one body"):
        await save(engine, flow("start>sub", sub=both))


async def test_a_subworkflow_with_neither_is_refused(engine):
    neither = child("")

    with pytest.raises(InvalidDefinition, match="has no body"):
        await save(engine, flow("start>sub", sub=neither))


async def test_children_need_no_slot_of_their_own(house, stage):
    """Otherwise runs that hold all slots would wait for children that wait for slots."""
    engine = await house.open(slots=1)
    stage.on("a", {"x": 7})

    view = await engine.run(await with_child(engine), None)

    assert view.outputs["sub"] == {"result": 7}


async def test_children_need_no_slot_after_a_crash_either(house, stage):
    engine = await house.open(slots=1)
    stage.hold("a")
    run = await engine.start(await with_child(engine), None)
    await stage.begun("a")
    stage.on("a", {"x": 7})

    engine = await house.restart(engine, slots=1)
    await stage.begun("a", times=2)
    stage.let_go("a")
    view = await rested(engine, run.run.id)

    assert view.outputs["sub"] == {"result": 7}
