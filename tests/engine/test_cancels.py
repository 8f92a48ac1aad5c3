"""Ending runs early."""

import asyncio

import pytest

from rowel.core.errors import Conflict, NodeFailed, NotFound, Unavailable
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.store.runs import Filter
from tests.support.flows import child, flow, human, loop, work
from tests.support.house import Fuse, all_of, rested, save, statuses, still, task_at, text_of, upload

APPROVE = PauseAction.APPROVE
COMPLETED, CANCELED = TaskStatus.COMPLETED, TaskStatus.CANCELED
CHAIN = flow("start>a a>b b>end")


async def held(engine, stage, definition=CHAIN, node="a"):
    """A run in the middle of a long node."""
    stage.hold(node)
    run = await engine.start(await save(engine, definition), None)
    await stage.begun(node)
    return run.run.id


async def test_canceling_answers_with_the_canceled_run_and_a_message(engine, stage, clock):
    run_id = await held(engine, stage)
    await clock.advance(5)

    view = await engine.cancel(run_id)

    assert view.run.status is RunStatus.CANCELED
    assert view.run.message == "Canceled on request."
    assert view.run.end_time == clock.now()


async def test_unfinished_tasks_are_canceled_and_finished_ones_stay(engine, stage):
    view = await engine.cancel(await held(engine, stage))

    assert statuses(view) == {"start": COMPLETED, "a": CANCELED, "b": CANCELED, "end": CANCELED}
    assert view.outputs.keys() == {"start"}


async def test_a_running_node_is_interrupted(engine, stage):
    run_id = await held(engine, stage)

    await engine.cancel(run_id)
    await still(engine)

    assert stage.interrupted == [f"{run_id}.a"]
    assert stage.running == 0


async def test_nothing_of_the_run_starts_once_cancel_has_answered(engine, stage):
    run_id = await held(engine, stage)

    await engine.cancel(run_id)
    stage.let_go("a")
    view = await rested(engine, run_id)

    assert stage.count("b") == 0
    assert view.run.status is RunStatus.CANCELED
    assert statuses(view)["a"] is CANCELED


async def test_what_a_stubborn_node_returns_after_all_is_dropped(engine, stage):
    release = asyncio.Event()

    async def stubborn(inputs, context):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()
        return {"x": "late"}

    stage.on("a", stubborn)
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")

    await engine.cancel(run.run.id)
    release.set()
    view = await rested(engine, run.run.id)

    assert task_at(view, "a").outputs is None
    assert statuses(view)["a"] is CANCELED
    assert stage.count("b") == 0


async def test_a_canceled_run_stays_canceled_after_a_crash(house, stage):
    engine = await house.open()
    run_id = await held(engine, stage)
    await engine.cancel(run_id)

    engine = await house.restart(engine)
    view = await rested(engine, run_id)

    assert view.run.status is RunStatus.CANCELED
    assert stage.count("a") == 1


@pytest.mark.parametrize("ending", ["completed", "failed", "canceled"])
async def test_canceling_a_finished_run_is_a_conflict_that_names_its_state(engine, stage, ending):
    if ending == "failed":
        stage.on("a", NodeFailed("broken"))
    if ending == "canceled":
        run_id = await held(engine, stage)
        await engine.cancel(run_id)
    else:
        run_id = (await engine.run(await save(engine, CHAIN), None)).run.id
    before = await engine.get_run(run_id)

    with pytest.raises(Conflict, match=ending.upper()):
        await engine.cancel(run_id)

    assert (await engine.get_run(run_id)).run == before.run


async def test_canceling_an_unknown_run_is_not_found(engine):
    with pytest.raises(NotFound):
        await engine.cancel("made-up")


async def test_a_paused_run_can_be_canceled_and_its_pause_is_closed(engine):
    run = await engine.run(await save(engine, flow("start>ask ask>a", ask=human())), None)

    view = await engine.cancel(run.run.id)

    assert view.run.status is RunStatus.CANCELED
    assert statuses(view) == {"start": COMPLETED, "ask": CANCELED, "a": CANCELED}
    assert await engine.paused(limit=10) == []
    with pytest.raises(Conflict, match="CANCELED"):
        await engine.decide(run.run.id, APPROVE, {}, "ann", None)


async def test_a_run_that_waits_its_turn_can_be_canceled_and_never_begins(house, stage):
    engine = await house.open(slots=1)
    first = await held(engine, stage)
    waiting = await engine.start(await save(engine, flow("start>c")), None)

    view = await engine.cancel(waiting.run.id)
    assert view.run.status is RunStatus.CANCELED
    stage.let_go("a")
    await still(engine)

    assert (await engine.get_run(first)).run.status is RunStatus.COMPLETED
    assert stage.count("c") == 0
    assert (await engine.get_run(waiting.run.id)).run.status is RunStatus.CANCELED


async def test_who_waits_for_the_run_is_told_that_it_was_canceled(engine, stage):
    stage.hold("a")
    workflow_id = await save(engine, CHAIN)
    waiting = asyncio.ensure_future(engine.run(workflow_id, None))
    await stage.begun("a")
    (run,) = await engine.list_runs(Filter(workflow_id=workflow_id), limit=10)

    await engine.cancel(run.run.id)

    assert (await waiting).run.status is RunStatus.CANCELED


async def test_a_retry_that_waits_for_its_time_is_canceled(engine, stage, clock):
    stage.on("a", NodeFailed("broken"))
    definition = flow("start>a", a=work(retry={"attempts": 2, "backoff_s": 100}))
    run = await engine.start(await save(engine, definition), None)
    await clock.sleeper()

    await engine.cancel(run.run.id)
    await still(engine)
    await clock.advance(1000)
    await still(engine)

    assert stage.count("a") == 1
    assert (await engine.get_run(run.run.id)).run.status is RunStatus.CANCELED


async def test_tasks_inside_a_loop_are_canceled(engine, stage):
    run_id = await held(engine, stage, flow("start>loop", loop=loop(flow("start>a a>end"), 3)))

    view = await engine.cancel(run_id)

    assert task_at(view, "loop").status is task_at(view, "loop.0.a").status is CANCELED


async def batch_of(engine, stage, rows=6, window=2):
    stage.hold("a")
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(rows)))
    return await engine.start_batch(await save(engine, CHAIN), dataset.id, window)


async def test_a_batch_is_canceled_with_all_its_rows(engine, stage):
    batch = await batch_of(engine, stage)
    await stage.begun("a", times=2)

    view = await engine.cancel(batch.run.id)
    await still(engine)

    rows = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
    assert view.run.status is RunStatus.CANCELED
    assert {row.run.status for row in rows} == {RunStatus.CANCELED}
    assert len(rows) == 2
    assert sorted(stage.interrupted) == sorted(f"{row.run.id}.a" for row in rows)
    assert (view.batch.canceled, view.batch.total) == (6, 6)


async def test_no_row_begins_once_the_cancel_of_its_batch_has_answered(engine, stage):
    batch = await batch_of(engine, stage)
    await stage.begun("a", times=2)

    await engine.cancel(batch.run.id)
    stage.let_go("a")
    await still(engine)

    assert stage.count("a") == 2
    assert (await engine.get_run(batch.run.id)).run.status is RunStatus.CANCELED


async def test_a_canceled_batch_still_shows_the_rows_that_it_had_begun(engine, stage):
    stage.on("a", lambda inputs, context: {"n": inputs["start"]["n"]})
    batch = await batch_of(engine, stage)
    await stage.begun("a", times=2)
    await engine.cancel(batch.run.id)

    lines = (await text_of(engine, batch.run.output_file_id)).splitlines()

    assert len(lines) == 2
    assert all("Canceled on request." in line for line in lines)


async def test_one_row_can_be_canceled_and_the_batch_goes_on(engine, stage):
    batch = await batch_of(engine, stage, rows=3, window=3)
    await stage.begun("a", times=3)
    rows = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
    row = next(row for row in rows if row.run.row_index == 1)

    await engine.cancel(row.run.id)
    stage.let_go("a")
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.run.message == "2 of 3 rows completed, 1 canceled."


async def test_a_paused_batch_can_be_canceled(engine):
    dataset = await upload(engine, "n\n1\n2\n")
    batch = await engine.start_batch(await save(engine, flow("start>ask ask>a", ask=human())), dataset.id)
    await still(engine)

    view = await engine.cancel(batch.run.id)

    assert view.run.status is RunStatus.CANCELED
    assert await engine.paused(limit=10) == []


async def test_a_row_of_a_canceled_batch_says_so_in_its_own_events(engine, stage):
    batch = await batch_of(engine, stage, rows=1)
    await stage.begun("a")
    (row,) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)

    await engine.cancel(batch.run.id)

    last = (await all_of(engine.events(row.run.id)))[-1]
    assert last.body["status"] == "CANCELED"
    assert last.body["run_id"] == row.run.id


async def test_cancel_and_approve_at_once_fit_one_order(engine, stage):
    definition = flow("start>ask ask>a", ask=human())
    workflow_id = await save(engine, definition)
    for attempt in range(20):
        run_id = (await engine.run(workflow_id, None)).run.id
        calls = [engine.cancel(run_id), engine.decide(run_id, APPROVE, {}, "ann", None)]
        ordered = calls if attempt % 2 else list(reversed(calls))
        answers = await asyncio.gather(*ordered, return_exceptions=True)
        canceled, approved = answers if attempt % 2 else reversed(answers)
        view = await rested(engine, run_id)

        assert all(isinstance(answer, Conflict) for answer in answers if isinstance(answer, Exception))
        if isinstance(approved, Conflict):
            assert view.run.status is RunStatus.CANCELED
            assert statuses(view)["ask"] is CANCELED
        else:
            assert statuses(view)["ask"] is COMPLETED
        if isinstance(canceled, Conflict):
            assert view.run.status is RunStatus.COMPLETED
        else:
            assert view.run.status is RunStatus.CANCELED


async def test_of_twenty_simultaneous_cancels_one_wins(engine, stage):
    run_id = await held(engine, stage)

    answers = await asyncio.gather(*(engine.cancel(run_id) for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(answer, Conflict) for answer in answers) == 19


async def test_a_cancel_that_the_store_refuses_changes_nothing_and_the_run_goes_on(
    engine, stage, monkeypatch
):
    run_id = await held(engine, stage)
    journal = engine._house.journal

    async def refuse(*arguments, **options):
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(journal, "cancel", refuse)
        with pytest.raises(Unavailable):
            await engine.cancel(run_id)
    stage.let_go("a")
    view = await rested(engine, run_id)

    assert view.run.status is RunStatus.COMPLETED
    assert stage.interrupted == []


async def test_while_a_cancel_is_on_its_way_nothing_starts(engine, stage, monkeypatch):
    run_id = await held(engine, stage)
    journal, asked, committed = engine._house.journal, asyncio.Event(), asyncio.Event()
    cancel = journal.cancel

    async def slow(*arguments, **options):
        asked.set()
        await committed.wait()
        return await cancel(*arguments, **options)

    monkeypatch.setattr(journal, "cancel", slow)
    canceling = asyncio.ensure_future(engine.cancel(run_id))
    await asked.wait()
    stage.let_go("a")
    for _ in range(3):
        await save(engine, CHAIN)  # whatever the run wrote would be in the store by then
    assert stage.count("b") == 0
    committed.set()

    assert (await canceling).run.status is RunStatus.CANCELED
    assert stage.count("b") == 0


async def test_canceling_a_batch_reaches_the_children_of_its_rows(engine, stage):
    stage.hold("a")
    part = await save(engine, CHAIN, "part")
    dataset = await upload(engine, "n\n1\n2\n3\n")
    batch = await engine.start_batch(await save(engine, flow("start>sub", sub=child(part))), dataset.id, 2)
    await stage.begun("a", times=2)

    await engine.cancel(batch.run.id)
    stage.let_go("a")
    await still(engine)

    parts = await engine.list_runs(Filter(workflow_id=part), limit=10)
    assert [view.run.status for view in parts] == [RunStatus.CANCELED] * 2
    assert sorted(stage.interrupted) == sorted(f"{view.run.id}.a" for view in parts)
    assert stage.count("b") == 0


async def test_a_run_canceled_while_the_engine_is_down_for_a_moment_is_not_taken_up(house, stage):
    """The cancel was accepted, and the power went before anything else could be written."""
    engine = await house.open()
    run_id = await held(engine, stage)
    fuse = Fuse(engine, 1, lands=True)
    canceling = asyncio.ensure_future(engine.cancel(run_id))
    await fuse.blown()
    canceling.cancel()
    await asyncio.gather(canceling, return_exceptions=True)

    engine = await house.restart(engine)
    view = await rested(engine, run_id)

    assert view.run.status is RunStatus.CANCELED
    assert (stage.count("a"), stage.count("b")) == (1, 0)


async def test_a_child_that_began_while_its_owner_was_canceled_is_canceled_too(engine, stage, monkeypatch):
    part = await save(engine, CHAIN, "part")
    run_id = await held(engine, stage, flow("start>sub", sub=child(part)))
    cancels, looks = engine._cancels, []
    owned = cancels._owned

    async def too_early_at_first(run):
        looks.append(run)
        return await owned(run) if len(looks) > 1 else []

    monkeypatch.setattr(cancels, "_owned", too_early_at_first)
    await engine.cancel(run_id)
    await still(engine)

    (begun,) = await engine.list_runs(Filter(workflow_id=part), limit=10)
    assert begun.run.status is RunStatus.CANCELED
    assert statuses(begun)["a"] is CANCELED
