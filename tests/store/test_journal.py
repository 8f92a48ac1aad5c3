"""Groups of records land as a whole or not at all, on both databases."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from rowel.core.outcomes import Usage
from rowel.core.records import PauseID
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.store import events
from rowel.store.journal import Changes
from tests.support.ledger import NOON, Ledger, decision, facts, make_pause, make_run, make_task, rest


async def test_a_run_begins_with_its_tasks_and_events(ledger: Ledger) -> None:
    run = make_run(initial_inputs={"i": {"x": 1}}, message="m")
    task = make_task(
        run, "i", outputs={"x": 1}, inputs={}, usage=Usage(1, 2, 0.5, 1), logs=("a", "b"), attempt=1
    )
    assert await ledger.journal.begin(run, Changes(tasks=[task], facts=facts(3)))
    assert await ledger.run(run.id) == run.evolve(seq=3)
    assert await ledger.tasks(run.id) == {"i": task}
    assert await ledger.numbers(run.id) == [1, 2, 3]


async def test_events_are_numbered_without_gaps_over_groups(ledger: Ledger) -> None:
    run = await ledger.begin()
    assert await ledger.journal.advance(run, Changes(facts=facts(2))) == 3
    assert await ledger.journal.advance(run, Changes(facts=facts(3))) == 6
    assert await ledger.numbers(run.id) == [1, 2, 3, 4, 5, 6]
    assert await ledger.numbers(run.id, after=4) == [5, 6]
    assert await ledger.numbers(run.id, after=6) == []


async def test_a_write_of_a_former_owner_does_not_land_and_none_of_its_parts_does(ledger: Ledger) -> None:
    run = await ledger.begin()
    taken = await ledger.journal.take(run.id, [])
    assert taken is not None
    assert taken.epoch == run.epoch + 1
    late = Changes(tasks=[make_task(run, "a")], pauses=[make_pause(run, "b")], facts=facts(2))
    assert await ledger.journal.advance(run, late) is None
    assert await ledger.journal.rest(run, late, rest(RunStatus.COMPLETED)) is None
    assert await ledger.tasks(run.id) == {}
    assert await ledger.pauses(run.id) == []
    assert await ledger.numbers(run.id) == [1]
    assert (await ledger.run(run.id)).status is RunStatus.RUNNING


async def test_a_run_that_has_ended_never_changes(ledger: Ledger) -> None:
    run = await ledger.begin()
    assert await ledger.journal.rest(run, Changes(), rest(RunStatus.FAILED, message="no"))
    ended = await ledger.run(run.id)
    assert (ended.status, ended.message, ended.has_work) == (RunStatus.FAILED, "no", False)
    assert await ledger.journal.advance(run, Changes(tasks=[make_task(run, "a")])) is None
    assert await ledger.journal.rest(run, Changes(), rest(RunStatus.COMPLETED)) is None
    assert await ledger.journal.take(run.id, []) is None
    assert await ledger.journal.cancel(run, [], message="x", time=NOON, facts=facts(1)) is None
    assert await ledger.run(run.id) == ended


@pytest.mark.parametrize("final", [TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELED])
async def test_a_finished_task_never_changes(ledger: Ledger, final: TaskStatus) -> None:
    run = await ledger.begin()
    await ledger.journal.advance(run, Changes(tasks=[make_task(run, "a", TaskStatus.RUNNING)]))
    await ledger.journal.advance(run, Changes(tasks=[make_task(run, "a", final, outputs={"n": 1})]))
    await ledger.journal.advance(
        run, Changes(tasks=[make_task(run, "a", TaskStatus.RUNNING, outputs={"n": 2})])
    )
    assert await ledger.tasks(run.id) == {"a": make_task(run, "a", final, outputs={"n": 1})}


async def test_a_run_rests_only_on_the_signals_it_has_seen(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("ask")
    assert await ledger.journal.decide(run, decision(pause), []) is not None
    assert await ledger.journal.rest(run, Changes(), rest(RunStatus.COMPLETED, signals=0)) is None
    assert await ledger.journal.rest(run, Changes(), rest(RunStatus.COMPLETED, signals=1)) is not None


async def test_an_answer_wakes_the_run_and_writes_its_task(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("ask")
    assert not (await ledger.run(run.id)).has_work
    given = decision(pause, user_id="ann", comments="fine", inputs={"a": 1})
    answered = await ledger.journal.decide(run, given, facts(2))
    assert answered is not None
    assert answered.status is RunStatus.RUNNING
    seen = await ledger.run(run.id)
    assert (seen.status, seen.has_work, seen.signals) == (RunStatus.RUNNING, True, 1)
    assert (await ledger.tasks(run.id))["ask"].status is TaskStatus.COMPLETED
    (kept,) = await ledger.pauses(run.id)
    assert (kept.is_open, kept.resume_user_id, kept.resume_action) == (False, "ann", PauseAction.APPROVE)
    assert (kept.comments, kept.resume_inputs, kept.resume_time) == ("fine", {"a": 1}, NOON)


async def test_a_run_stays_paused_while_another_pause_is_open(ledger: Ledger) -> None:
    run, (first, second) = await ledger.paused("a", "b")
    answered = await ledger.journal.decide(run, decision(first), [])
    assert answered is not None
    assert answered.status is RunStatus.PAUSED
    answered = await ledger.journal.decide(run, decision(second), [])
    assert answered is not None
    assert answered.status is RunStatus.RUNNING


async def test_of_fifty_answers_at_once_exactly_one_lands(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("ask")
    answers = await asyncio.gather(
        *[ledger.journal.decide(run, decision(pause, user_id=f"u{n}"), facts(1)) for n in range(50)]
    )
    (winner,) = [n for n, answer in enumerate(answers) if answer is not None]
    assert (await ledger.pauses(run.id))[0].resume_user_id == f"u{winner}"
    assert (await ledger.run(run.id)).signals == 1


async def test_of_two_processes_that_answer_exactly_one_lands(ledger: Ledger) -> None:
    other = Ledger(ledger.url)
    for _ in range(10):
        run, (pause,) = await ledger.paused("ask")
        answers = await asyncio.gather(
            ledger.journal.decide(run, decision(pause, user_id="ann"), facts(1)),
            other.journal.decide(run, decision(pause, user_id="bob"), facts(1)),
        )
        assert sum(answer is not None for answer in answers) == 1
    await other.close()


async def test_an_answer_to_a_canceled_run_does_not_land(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("ask")
    assert await ledger.journal.cancel(run, [], message="x", time=NOON, facts=facts(1)) is not None
    assert await ledger.journal.decide(run, decision(pause), facts(1)) is None
    (kept,) = await ledger.pauses(run.id)
    assert (kept.is_open, kept.resume_action) == (False, None)


async def test_a_cancel_takes_tasks_pauses_and_owned_runs_with_it(ledger: Ledger) -> None:
    run, _ = await ledger.paused("ask")
    child = await ledger.begin(owner_id=run.id, owner_path="sub")
    done = await ledger.begin(owner_id=run.id, owner_path="sub2")
    await ledger.journal.rest(done, Changes(), rest(RunStatus.COMPLETED))
    await ledger.journal.advance(child, Changes(tasks=[make_task(child, "a", TaskStatus.RUNNING)]))
    assert (
        await ledger.journal.cancel(run, [child, done], message="why", time=NOON, facts=facts(1)) is not None
    )
    for canceled in (run, child):
        seen = await ledger.run(canceled.id)
        assert (seen.status, seen.message, seen.has_work) == (RunStatus.CANCELED, "why", False)
        assert seen.epoch == canceled.epoch + 1
    assert (await ledger.tasks(run.id))["ask"].status is TaskStatus.CANCELED
    assert (await ledger.tasks(child.id))["a"].status is TaskStatus.CANCELED
    assert (await ledger.run(done.id)).status is RunStatus.COMPLETED
    assert await ledger.journal.advance(child, Changes(tasks=[make_task(child, "b")])) is None


async def test_a_run_does_not_begin_once_its_owner_has_ended(ledger: Ledger) -> None:
    owner = await ledger.begin()
    await ledger.journal.rest(owner, Changes(), rest(RunStatus.COMPLETED))
    late = make_run(owner_id=owner.id, owner_path="sub")
    assert not await ledger.journal.begin(late, Changes(tasks=[make_task(late, "a")], facts=facts(1)))
    assert await ledger.tasks(late.id) == {}
    assert await ledger.numbers(late.id) == []


async def test_a_child_that_rests_wakes_its_owner(ledger: Ledger) -> None:
    owner, _ = await ledger.paused("ask")
    child = await ledger.begin(owner_id=owner.id, owner_path="sub")
    before = (await ledger.run(owner.id)).signals
    await ledger.journal.rest(child, Changes(), rest(RunStatus.COMPLETED))
    woken = await ledger.run(owner.id)
    assert (woken.has_work, woken.signals) == (True, before + 1)


@pytest.mark.parametrize("end", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED])
async def test_a_batch_counts_each_row_that_ended_once(ledger: Ledger, end: RunStatus) -> None:
    batch = await ledger.batch()
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    assert (await ledger.counts(batch.id)).cursor == 1
    stale = row.evolve(epoch=0)
    assert await ledger.journal.rest(stale, Changes(), rest(end)) is None
    assert await ledger.journal.rest(row, Changes(), rest(end)) is not None
    assert await ledger.journal.rest(row, Changes(), rest(end)) is None
    counts = await ledger.counts(batch.id)
    assert counts.settled == 1
    assert getattr(counts, end.lower()) == 1


async def test_a_row_begins_once(ledger: Ledger) -> None:
    batch = await ledger.batch()
    await ledger.begin(owner_id=batch.id, row_index=0)
    again = make_run(owner_id=batch.id, row_index=0)
    assert not await ledger.journal.begin(again, Changes(tasks=[make_task(again, "a")]))
    assert await ledger.tasks(again.id) == {}
    assert (await ledger.counts(batch.id)).cursor == 1


async def test_rows_that_wait_are_counted_while_they_do(ledger: Ledger) -> None:
    batch = await ledger.batch()
    row, (pause,) = await ledger.paused("ask", owner_id=batch.id, row_index=0)
    assert (await ledger.counts(batch.id)).paused == 1
    await ledger.journal.decide(row, decision(pause), [])
    assert (await ledger.counts(batch.id)).paused == 0
    assert (await ledger.run(batch.id)).has_work


async def test_a_batch_rests_only_on_the_rows_it_has_counted(ledger: Ledger) -> None:
    batch = await ledger.batch(total=1)
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    done = rest(RunStatus.COMPLETED)
    await ledger.journal.rest(row, Changes(), done)
    signals = (await ledger.run(batch.id)).signals
    done = rest(RunStatus.COMPLETED, signals=signals)
    assert await ledger.journal.rest_batch(batch, Changes(), done, settled=0, file=None) is None
    assert await ledger.journal.rest_batch(batch, Changes(), done, settled=1, file=None) is not None


async def test_a_canceled_batch_counts_the_rows_that_had_not_ended(ledger: Ledger) -> None:
    batch = await ledger.batch(total=5)
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    await ledger.journal.rest(row, Changes(), rest(RunStatus.FAILED))
    await ledger.journal.cancel(batch, [], message="x", time=NOON, facts=[])
    counts = await ledger.counts(batch.id)
    assert (counts.failed, counts.canceled, counts.settled) == (1, 4, 5)


async def test_only_a_run_with_work_is_taken_over(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("ask")
    assert await ledger.journal.take(run.id, []) is None
    await ledger.journal.decide(run, decision(pause), [])
    taken = await ledger.journal.take(run.id, facts(1))
    assert taken is not None
    assert (taken.epoch, taken.signals) == (run.epoch + 1, 1)


@pytest.mark.parametrize(
    "value",
    [10**60, -(2**70), "\ud800", "\x00", "é\u2028", 0.1, 1e308, [[[]]], {"": None}, "x" * 100_000, True],
)
async def test_values_come_back_exactly(ledger: Ledger, value: Any) -> None:
    run = make_run(initial_inputs={"i": {"v": value}}, message="m\x00\ud800")
    task = make_task(run, "a", inputs={"v": value}, outputs={"v": [value]}, error="e\x00\ud800")
    pause = make_pause(run, "b", message="\x00\ud800", input_data={"v": value}, form={"v": value})
    await ledger.journal.begin(run, Changes(tasks=[task], pauses=[pause]))
    assert await ledger.run(run.id) == run
    assert await ledger.tasks(run.id) == {"a": task}
    assert await ledger.pauses(run.id) == [pause]


async def test_values_as_deep_as_json_may_be_come_back(ledger: Ledger) -> None:
    deep: Any = 1
    for _ in range(min(200, sys.getrecursionlimit() // 4)):
        deep = [deep]
    run = make_run(initial_inputs={"i": {"v": deep}})
    await ledger.journal.begin(run, Changes())
    assert (await ledger.run(run.id)).initial_inputs == {"i": {"v": deep}}


async def test_a_row_on_its_way_while_its_batch_was_canceled_is_not_counted_twice(ledger: Ledger) -> None:
    batch = await ledger.batch(total=3)
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    other = await ledger.begin(owner_id=batch.id, row_index=1)
    await ledger.journal.cancel(batch, [], message="x", time=NOON, facts=[])
    assert await ledger.journal.rest(row, Changes(), rest(RunStatus.COMPLETED)) is not None
    assert await ledger.journal.cancel(other, [], message="x", time=NOON, facts=facts(1)) is not None
    counts = await ledger.counts(batch.id)
    assert (counts.completed, counts.canceled) == (0, 3)


async def test_a_cancel_that_does_not_land_leaves_the_owned_runs_alone(ledger: Ledger) -> None:
    owner = await ledger.begin()
    child = await ledger.begin(owner_id=owner.id, owner_path="sub")
    await ledger.journal.rest(owner, Changes(), rest(RunStatus.COMPLETED))
    assert await ledger.journal.cancel(owner, [child], message="x", time=NOON, facts=facts(1)) is None
    assert await ledger.run(child.id) == child


async def test_every_canceled_run_is_told_in_its_own_events(ledger: Ledger) -> None:
    owner = await ledger.begin()
    child = await ledger.begin(owner_id=owner.id, owner_path="sub")
    assert await ledger.journal.cancel(owner, [child], message="x", time=NOON, facts=facts(2)) == 3
    for run in (owner, child):
        found = await ledger.database.read(lambda connection, run=run: events.after(connection, run.id, 1))
        assert [(event.number, event.body["run_id"]) for event in found] == [(2, run.id), (3, run.id)]


async def test_a_child_of_a_row_wakes_the_row_and_the_batch_that_moves_it(ledger: Ledger) -> None:
    batch = await ledger.batch()
    row, _ = await ledger.paused("ask", owner_id=batch.id, row_index=0)
    child = await ledger.begin(owner_id=row.id, owner_path="sub")
    before = (await ledger.run(batch.id)).signals
    await ledger.journal.rest(child, Changes(), rest(RunStatus.COMPLETED))
    assert (await ledger.run(row.id)).has_work
    assert (await ledger.run(batch.id)).signals == before + 1


@pytest.mark.parametrize("end", [RunStatus.PAUSED, RunStatus.FAILED])
async def test_a_child_that_is_over_before_it_was_written_wakes_its_owner(
    ledger: Ledger, end: RunStatus
) -> None:
    owner, _ = await ledger.paused("ask")
    await ledger.begin(owner_id=owner.id, owner_path="sub", status=end, has_work=False)
    woken = await ledger.run(owner.id)
    assert (woken.has_work, woken.signals) == (True, 1)


async def test_a_row_that_is_over_before_it_was_written_is_counted(ledger: Ledger) -> None:
    batch = await ledger.batch()
    await ledger.begin(owner_id=batch.id, row_index=0, status=RunStatus.COMPLETED, end_time=NOON)
    counts = await ledger.counts(batch.id)
    assert (counts.cursor, counts.completed) == (1, 1)


async def test_a_row_that_begins_out_of_turn_moves_no_cursor(ledger: Ledger) -> None:
    batch = await ledger.batch()
    await ledger.begin(owner_id=batch.id, row_index=2)
    assert (await ledger.counts(batch.id)).cursor == 0


async def test_an_end_that_does_not_land_wakes_no_batch(ledger: Ledger) -> None:
    batch = await ledger.batch(total=1)
    row, _ = await ledger.paused("ask", owner_id=batch.id, row_index=0)
    await ledger.journal.rest_batch(batch, Changes(), rest(RunStatus.PAUSED), settled=0, file=None)
    stale = row.evolve(epoch=0)
    assert await ledger.journal.rest(stale, Changes(), rest(RunStatus.COMPLETED)) is None
    assert not (await ledger.run(batch.id)).has_work
    assert await ledger.journal.rest(row, Changes(), rest(RunStatus.COMPLETED)) is not None
    woken = await ledger.run(batch.id)
    assert (woken.has_work, woken.signals) == (True, 1)


async def test_a_row_that_waits_wakes_nobody(ledger: Ledger) -> None:
    batch = await ledger.batch()
    await ledger.paused("ask", owner_id=batch.id, row_index=0)
    assert (await ledger.run(batch.id)).signals == 0


async def test_a_child_that_moves_again_wakes_its_owner(ledger: Ledger) -> None:
    owner, _ = await ledger.paused("ask")
    child, _ = await ledger.paused("ask", owner_id=owner.id, owner_path="sub")
    before = (await ledger.run(owner.id)).signals
    assert await ledger.journal.advance(child, Changes(), RunStatus.RUNNING) is not None
    assert (await ledger.run(owner.id)).signals == before + 1
    assert (await ledger.run(child.id)).status is RunStatus.RUNNING


async def test_an_answered_row_sets_its_paused_batch_going(ledger: Ledger) -> None:
    batch = await ledger.batch(total=1)
    row, (pause,) = await ledger.paused("ask", owner_id=batch.id, row_index=0)
    paused = rest(RunStatus.PAUSED)
    assert await ledger.journal.rest_batch(batch, Changes(), paused, settled=0, file=None) is not None
    await ledger.journal.decide(row, decision(pause), [])
    woken = await ledger.run(batch.id)
    assert (woken.status, woken.has_work, woken.signals) == (RunStatus.RUNNING, True, 1)


async def test_a_task_that_asks_again_after_an_answer_has_a_new_pause(ledger: Ledger) -> None:
    run, (first,) = await ledger.paused("ask")
    again = make_task(run, "ask", TaskStatus.PAUSED)
    assert await ledger.journal.decide(run, decision(first, task=again), []) is not None
    second = make_pause(run, "ask", id=PauseID("second"))
    await ledger.journal.advance(run, Changes(pauses=[second]))
    assert [(kept.id, kept.is_open) for kept in await ledger.pauses(run.id)] == [
        ("second", True),
        (first.id, False),
    ]


async def test_a_pause_of_one_run_cannot_be_answered_through_another(ledger: Ledger) -> None:
    run, (pause,) = await ledger.paused("ask")
    other = await ledger.begin()
    stray = decision(pause, run_id=other.id, task=make_task(other, "ask"))
    assert await ledger.journal.decide(other, stray, facts(1)) is None
    assert (await ledger.pauses(run.id))[0].is_open
    assert await ledger.tasks(other.id) == {}


async def test_recoveries_are_counted_until_a_task_completes(ledger: Ledger) -> None:
    run = await ledger.begin(status=RunStatus.PENDING)
    assert await ledger.journal.take(run.id, []) is not None
    assert (await ledger.run(run.id)).recoveries == 0
    for _ in range(2):
        taken = await ledger.journal.take(run.id, [])
    assert taken is not None
    assert (await ledger.run(run.id)).recoveries == 2
    run = run.evolve(epoch=taken.epoch)
    await ledger.journal.advance(run, Changes(tasks=[make_task(run, "a", TaskStatus.RUNNING)]))
    assert (await ledger.run(run.id)).recoveries == 2
    await ledger.journal.advance(run, Changes(tasks=[make_task(run, "a")]))
    assert (await ledger.run(run.id)).recoveries == 0


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING])
async def test_a_run_that_is_taken_over_is_running(ledger: Ledger, status: RunStatus) -> None:
    run = await ledger.begin(status=status)
    await ledger.journal.take(run.id, [])
    assert (await ledger.run(run.id)).status is RunStatus.RUNNING


async def test_a_run_with_one_answered_and_one_open_pause_stays_paused_when_taken_over(
    ledger: Ledger,
) -> None:
    run, (first, _) = await ledger.paused("a", "b")
    await ledger.journal.decide(run, decision(first), [])
    assert await ledger.journal.take(run.id, []) is not None
    assert (await ledger.run(run.id)).status is RunStatus.PAUSED


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}, b"x", object()])
async def test_what_json_cannot_say_is_refused_before_it_is_queued(ledger: Ledger, bad: Any) -> None:
    run = await ledger.begin()
    with pytest.raises((TypeError, ValueError)):
        await ledger.journal.advance(run, Changes(tasks=[make_task(run, "a", outputs={"v": bad})]))
    assert await ledger.journal.advance(run, Changes(facts=facts(1))) == 2


async def test_a_group_with_one_task_that_cannot_be_kept_keeps_none_of_its_parts(ledger: Ledger) -> None:
    run = await ledger.begin()
    good, bad = make_task(run, "a"), make_task(run, "b", attempt=2**70)
    with pytest.raises(Exception, match=r"(?i)int"):
        await ledger.journal.advance(run, Changes(tasks=[good, bad], facts=facts(1)))
    assert await ledger.tasks(run.id) == {}
    assert await ledger.run(run.id) == run


async def test_a_row_moves_the_cursor_over_rows_that_are_left_out(ledger: Ledger) -> None:
    batch = await ledger.batch(total=9)

    async def begin(row: int, cursor: int) -> int:
        run = make_run(owner_id=batch.id, row_index=row)
        assert await ledger.journal.begin(run, Changes(), cursor=cursor)
        return (await ledger.counts(batch.id)).cursor

    assert await begin(3, 0) == 4
    assert await begin(7, 4) == 8
    # One that began before its turn leaves the cursor, so that those between are not forgotten.
    assert await begin(5, 4) == 8
    assert await begin(8, 5) == 8


async def test_an_ended_batch_is_not_adjusted(ledger: Ledger) -> None:
    batch = await ledger.batch()
    assert await ledger.journal.adjust(batch.id, [], window=4, options={"x": 1}) is not None
    assert (
        await ledger.journal.rest(batch.evolve(signals=1), Changes(), rest(RunStatus.COMPLETED, 1))
        is not None
    )

    assert await ledger.journal.adjust(batch.id, [], window=5, options={}) is None

    counts = await ledger.counts(batch.id)
    assert (counts.window, counts.options) == (4, {"x": 1})


async def test_a_failed_batch_has_counted_the_rows_that_never_ran(ledger: Ledger) -> None:
    batch = await ledger.batch(total=5)
    assert await ledger.begin(owner_id=batch.id, row_index=0, status=RunStatus.COMPLETED)

    assert await ledger.journal.rest(batch, Changes(), rest(RunStatus.FAILED)) is not None

    counts = await ledger.counts(batch.id)
    assert (counts.completed, counts.canceled, counts.settled) == (1, 4, 5)


async def test_a_failure_after_the_end_of_its_batch_is_not_counted(ledger: Ledger) -> None:
    batch = await ledger.batch(total=2)
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    assert await ledger.journal.rest(batch, Changes(), rest(RunStatus.FAILED)) is not None

    assert await ledger.journal.rest(row, Changes(), rest(RunStatus.FAILED, message="late")) is not None

    assert (await ledger.counts(batch.id)).failed == 0
    assert await ledger.causes(batch.id) == []


@pytest.mark.parametrize("action", [PauseAction.APPROVE, PauseAction.DECLINE])
async def test_a_pause_of_a_batch_is_answered_once(ledger: Ledger, action: PauseAction) -> None:
    batch = await ledger.batch()
    pause = make_pause(batch, "batch")
    assert await ledger.journal.rest(batch, Changes(pauses=[pause]), rest(RunStatus.PAUSED)) is not None
    answer = decision(pause, action=action, task=None)

    async def decide() -> bool:
        if action is PauseAction.APPROVE:
            return await ledger.journal.decide(batch, answer, []) is not None
        canceled = await ledger.journal.cancel(
            batch, [], message="no", time=NOON, facts=facts(1), decision=answer
        )
        return canceled is not None

    assert await decide()
    assert not await decide()
    (kept,) = await ledger.pauses(batch.id)
    assert (kept.is_open, kept.resume_action) == (False, action)
    ends = {PauseAction.APPROVE: RunStatus.RUNNING, PauseAction.DECLINE: RunStatus.CANCELED}
    assert (await ledger.run(batch.id)).status is ends[action]


async def test_who_declines_a_batch_too_late_cancels_nothing(ledger: Ledger) -> None:
    batch = await ledger.batch()
    pause = make_pause(batch, "batch")
    assert await ledger.journal.rest(batch, Changes(pauses=[pause]), rest(RunStatus.PAUSED)) is not None
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    assert await ledger.journal.decide(batch, decision(pause, task=None), []) is not None

    late = decision(pause, action=PauseAction.DECLINE, task=None)
    assert await ledger.journal.cancel(batch, [row], message="no", time=NOON, facts=[], decision=late) is None

    assert (await ledger.run(row.id)).status is RunStatus.RUNNING
    assert (await ledger.run(batch.id)).status is RunStatus.RUNNING
