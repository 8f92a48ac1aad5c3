"""Pauses that nobody answers in time."""

import pytest

from rowel.core.errors import Conflict
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.engine.decisions import TIMEOUT_USER
from tests.support.flows import flow, human
from tests.support.house import rested, save, statuses, task_at

APPROVE = PauseAction.APPROVE
LARGE = {"x": "y" * (3 * 1024 * 1024)}


def asks(on_timeout, **config):
    return flow("start>ask ask>a a>end", ask=human(timeout_s=60, on_timeout=on_timeout, **config))


async def overdue(engine, clock, definition, inputs=None):
    """A run whose pause has run out and been looked at."""
    view = await engine.run(await save(engine, definition), inputs)
    await clock.advance(60)
    await engine._timers.time_out_pauses()
    return await rested(engine, view.run.id)


async def test_approved_by_time_it_goes_on_with_what_it_received(engine, clock):
    end = await overdue(engine, clock, asks("approve"), {"start": {"x": 1}})

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs["ask"] == {"start": {"x": 1}}


async def test_declined_by_time_the_run_is_canceled(engine, clock):
    end = await overdue(engine, clock, asks("decline"))

    assert end.run.status is RunStatus.CANCELED
    assert end.run.message == "Node 'ask' was declined by timeout: Nobody answered in time."
    assert statuses(end)["a"] is TaskStatus.CANCELED


async def test_declined_by_time_the_declined_link_is_taken(engine, clock):
    definition = flow("start>ask ask>a ask.declined>b", ask=human(timeout_s=60, on_timeout="decline"))

    end = await overdue(engine, clock, definition)

    assert (statuses(end)["a"], statuses(end)["b"]) == (TaskStatus.CANCELED, TaskStatus.COMPLETED)


async def test_failed_by_time_the_run_names_the_node(engine, clock):
    end = await overdue(engine, clock, asks("fail"))

    assert end.run.status is RunStatus.FAILED
    assert end.run.message.startswith("Node 'ask' failed: Nobody answered")
    assert task_at(end, "ask").status is TaskStatus.FAILED
    assert statuses(end)["a"] is TaskStatus.CANCELED


async def test_a_node_that_fails_by_time_may_continue_on_error(engine, clock):
    end = await overdue(engine, clock, asks("fail", on_error="continue"))

    assert end.run.status is RunStatus.COMPLETED
    assert "Nobody answered" in end.outputs["ask"]["error"]


async def test_before_its_time_a_pause_waits(engine, clock):
    view = await engine.run(await save(engine, asks("approve")), None)
    await clock.advance(59.9)
    await engine._timers.time_out_pauses()

    assert (await rested(engine, view.run.id)).run.status is RunStatus.PAUSED


async def test_a_pause_without_a_limit_waits_for_ever(engine, clock):
    view = await engine.run(await save(engine, flow("start>ask", ask=human(on_timeout="approve"))), None)
    await clock.advance(10 * 365 * 86_400)
    await engine._timers.time_out_pauses()

    assert (await rested(engine, view.run.id)).run.status is RunStatus.PAUSED


async def test_an_answered_pause_is_never_timed_out(engine, clock, stage):
    stage.hold("a")
    view = await engine.run(await save(engine, asks("fail")), None)
    await engine.decide(view.run.id, APPROVE, {"x": 1}, "ann", None)
    await clock.advance(3600)
    await engine._timers.time_out_pauses()
    stage.let_go("a")

    end = await rested(engine, view.run.id)
    assert end.run.status is RunStatus.COMPLETED
    assert (await engine.pause_history(view.run.id))[0].resume_user_id == "ann"


async def test_a_pause_that_was_answered_since_it_was_found_overdue_is_left_alone(engine, clock):
    view = await engine.run(await save(engine, asks("decline")), None)
    (pause,) = await engine.pause_history(view.run.id)
    await engine.decide(view.run.id, APPROVE, {}, "ann", None)

    await engine._decisions.time_out(pause)

    assert (await rested(engine, view.run.id)).run.status is RunStatus.COMPLETED


async def test_the_history_says_that_time_decided(engine, clock):
    end = await overdue(engine, clock, asks("approve"))

    (pause,) = await engine.pause_history(end.run.id)
    assert pause.resume_user_id == TIMEOUT_USER
    assert pause.resume_action is APPROVE
    assert pause.resume_time == clock.now()
    assert pause.comments == "Nobody answered in time."


async def test_after_a_timeout_an_answer_is_a_conflict(engine, clock):
    end = await overdue(engine, clock, asks("approve"))

    with pytest.raises(Conflict):
        await engine.decide(end.run.id, APPROVE, {}, "ann", None)


async def test_the_time_of_a_pause_runs_on_while_the_engine_is_down(house, clock):
    engine = await house.open()
    view = await engine.run(await save(engine, asks("approve")), None)
    await house.crash(engine)
    await clock.advance(3600)

    engine = await house.open()
    await engine._timers.time_out_pauses()

    assert (await rested(engine, view.run.id)).run.status is RunStatus.COMPLETED


async def test_every_overdue_pause_is_decided_at_one_look(engine, clock):
    workflow_id = await save(engine, asks("approve"))
    runs = [(await engine.run(workflow_id, None)).run.id for _ in range(5)]
    await clock.advance(60)
    await engine._timers.time_out_pauses()

    assert {(await rested(engine, run_id)).run.status for run_id in runs} == {RunStatus.COMPLETED}


async def test_a_pause_that_cannot_be_approved_fails_and_holds_up_no_other(engine, stage, clock):
    """What it received is larger than what a node may hand on."""
    stage.on("b", LARGE)
    stage.on("c", LARGE)
    definition = flow("start>b start>c b>ask c>ask", ask=human(timeout_s=60, on_timeout="approve"))
    stuck = await engine.run(await save(engine, definition), None)
    await clock.advance(1)
    plain = await engine.run(await save(engine, asks("approve")), None)
    await clock.advance(60)

    await engine._timers.time_out_pauses()

    assert (await rested(engine, plain.run.id)).run.status is RunStatus.COMPLETED
    end = await rested(engine, stuck.run.id)
    assert end.run.status is RunStatus.FAILED
    assert "limit" in end.run.message
