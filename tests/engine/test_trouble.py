"""When the store refuses writes, when reading fails, and when it is over."""

import asyncio
import sqlite3

import pytest

import rowel.engine.timers
from rowel.core.errors import Unavailable
from rowel.core.faults import parse_faults
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.cancels import Cancels
from rowel.engine.upkeep import Upkeep
from rowel.store.dialect import SQLiteConnection
from rowel.store.runs import Filter
from tests.support.flows import child, flow, human
from tests.support.house import PATIENCE_S, reaches, rested, save, still, upload

CHAIN = flow("start>a a>b b>end")


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that is full while its switch is set."""
    switch = asyncio.Event()
    begin = SQLiteConnection.begin

    def refuse(self):
        if switch.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        begin(self)

    monkeypatch.setattr(SQLiteConnection, "begin", refuse)
    return switch


async def test_while_the_store_refuses_writes_nothing_is_accepted(engine, full_disk):
    workflow_id = await save(engine, CHAIN)
    await engine.run(workflow_id, None)
    paused = await engine.run(await save(engine, flow("start>ask", ask=human())), None)
    dataset = await upload(engine, "n\n1\n")
    full_disk.set()

    answers = await asyncio.gather(
        engine.start(workflow_id, None),
        engine.run(workflow_id, None),
        engine.run_partial(workflow_id, "a"),
        engine.start_batch(workflow_id, dataset.id),
        engine.decide(paused.run.id, PauseAction.APPROVE, {}, "ann", None),
        engine.cancel(paused.run.id),
        engine.create_workflow("new", CHAIN, None),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 7
    full_disk.clear()
    await still(engine)

    assert len(await engine.list_runs(Filter(workflow_id=workflow_id), limit=10)) == 1
    assert (await engine.get_run(paused.run.id)).run.status is RunStatus.PAUSED
    assert len(await engine.list_workflows(limit=10)) == 2


async def test_reads_go_on_while_writes_are_refused(engine, full_disk):
    view = await engine.run(await save(engine, CHAIN), None)
    full_disk.set()

    assert (await engine.get_run(view.run.id)).run.status is RunStatus.COMPLETED


async def test_results_are_kept_until_the_store_is_back(engine, stage, full_disk):
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    full_disk.set()
    stage.let_go("a")
    with pytest.raises(Unavailable):
        await save(engine, CHAIN)
    assert engine.store_trouble() is not None
    assert stage.count("b") == 0

    full_disk.clear()

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED
    assert (stage.count("a"), stage.count("b")) == (1, 1)
    assert engine.store_trouble() is None


async def test_a_batch_goes_on_when_the_store_is_back(engine, stage, full_disk):
    stage.hold("a")
    dataset = await upload(engine, "n\n" + "1\n" * 10)
    batch = await engine.start_batch(await save(engine, flow("start>a")), dataset.id, 3)
    await stage.begun("a", times=3)
    full_disk.set()
    stage.let_go("a")
    with pytest.raises(Unavailable):
        await save(engine, CHAIN)
    full_disk.clear()

    assert (await rested(engine, batch.run.id)).batch.completed == 10
    assert set(stage.counts.values()) == {1}


async def test_a_refused_start_gives_its_place_back(house, full_disk):
    engine = await house.open(slots=1, queue=1)
    workflow_id = await save(engine, CHAIN)
    await engine.run(workflow_id, None)
    full_disk.set()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await engine.run(workflow_id, None)
    full_disk.clear()

    assert (await engine.run(workflow_id, None)).run.status is RunStatus.COMPLETED


async def test_a_child_that_could_not_be_started_for_want_of_the_store_is_no_failure_of_the_node(
    engine, monkeypatch, caplog
):
    part = await save(engine, flow("start>a a>end"), "part")
    workflow_id = await save(engine, flow("start>sub sub>end", sub=child(part)))
    await engine.run(workflow_id, None)
    database = engine._house.database
    read, broken = database.read, []

    async def breaks_once(query):
        if not broken:
            broken.append(True)
            raise sqlite3.OperationalError("disk I/O error")
        return await read(query)

    monkeypatch.setattr(database, "read", breaks_once)
    run = await engine.start(workflow_id, None)
    await still(engine)
    assert (await engine.get_run(run.run.id)).run.status is RunStatus.RUNNING
    assert "disk I/O error" in caplog.text

    await engine._timers.take_up_runs()

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_runs_that_nobody_moves_are_looked_for_again_and_again(house, stage, monkeypatch, caplog):
    engine = await house.open(Upkeep(runs_each=0.01))
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    broken = []
    advance = engine._house.journal.advance

    async def breaks_thrice(*arguments, **options):
        if len(broken) < 3:
            broken.append(True)
            raise RuntimeError("the mover broke")
        return await advance(*arguments, **options)

    monkeypatch.setattr(engine._house.journal, "advance", breaks_thrice)
    stage.let_go("a")

    assert (await reaches(engine, run.run.id, RunStatus.COMPLETED)).run.recoveries < 4


async def test_overdue_pauses_are_looked_for_again_and_again(house, clock):
    engine = await house.open(Upkeep(pauses_each=0.01))
    run = await engine.run(
        await save(engine, flow("start>ask", ask=human(timeout_s=60, on_timeout="approve"))), None
    )

    await clock.advance(61)

    await reaches(engine, run.run.id, RunStatus.COMPLETED)


async def test_a_look_that_fails_is_followed_by_the_next(house, clock, monkeypatch, caplog):
    engine = await house.open(Upkeep(pauses_each=0.01))
    run = await engine.run(
        await save(engine, flow("start>ask", ask=human(timeout_s=60, on_timeout="approve"))), None
    )
    time_out, failed = engine._decisions.time_out, asyncio.Event()

    async def breaks_once(pause):
        if not failed.is_set():
            failed.set()
            raise sqlite3.OperationalError("disk I/O error")
        await time_out(pause)

    monkeypatch.setattr(engine._decisions, "time_out", breaks_once)
    await clock.advance(61)

    async with asyncio.timeout(PATIENCE_S):
        await failed.wait()
    await reaches(engine, run.run.id, RunStatus.COMPLETED)
    assert "a look at what waits failed" in caplog.text


@pytest.fixture
def unreadable(engine, monkeypatch):
    """A store that can't be read while its switch is set."""
    switch = asyncio.Event()
    read = engine._house.database.read_now

    def refuse(query):
        if switch.is_set():
            raise Unavailable
        return read(query)

    monkeypatch.setattr(engine._house.database, "read_now", refuse)
    return switch


@pytest.fixture
def lost_after(engine, unreadable, monkeypatch):
    """Lets the store be lost as soon as one of these groups has landed."""

    def lose(group):
        write = getattr(engine._house.journal, group)

        async def write_and_lose(*arguments, **options):
            landed = await write(*arguments, **options)
            unreadable.set()
            return landed

        monkeypatch.setattr(engine._house.journal, group, write_and_lose)

    return lose


async def test_a_decision_that_landed_is_never_said_to_have_changed_nothing(engine, lost_after, unreadable):
    run = await engine.run(await save(engine, flow("start>ask ask>a", ask=human())), None)
    lost_after("decide")
    with pytest.raises(Unavailable, match=f"This was kept, and run {run.run.id} can't be read"):
        await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ann", None)
    unreadable.clear()

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_nor_a_cancel(engine, stage, lost_after, unreadable):
    stage.hold("a")
    part = await save(engine, CHAIN, "part")
    run = await engine.start(await save(engine, flow("start>sub", sub=child(part))), None)
    await stage.begun("a")
    lost_after("cancel")
    with pytest.raises(Unavailable, match="This was kept"):
        await engine.cancel(run.run.id)
    unreadable.clear()

    assert (await rested(engine, run.run.id)).run.status is RunStatus.CANCELED


async def test_movers_outlast_a_store_that_can_not_be_read_and_interrupt_nothing(engine, stage, unreadable):
    stage.hold("a")
    part = await save(engine, flow("start>b b>ask ask>c", ask=human()), "part")
    workflow_id = await save(engine, flow("start>a start>sub sub>d", sub=child(part)))
    run = await engine.start(workflow_id, None)
    await stage.begun("a")
    await stage.begun("b")
    (waiting,) = await engine.list_runs(Filter(parent_run_id=run.run.id), limit=2)
    await reaches(engine, waiting.run.id, RunStatus.PAUSED)
    unreadable.set()
    engine._house.dispatch.poke(run.run.id)
    await asyncio.sleep(0.3)
    stage.let_go("a")
    unreadable.clear()
    await engine.decide(waiting.run.id, PauseAction.APPROVE, {}, "ann", None)

    view = await reaches(engine, run.run.id, RunStatus.COMPLETED)

    assert view.run.recoveries == 0
    assert stage.interrupted == []
    assert set(stage.counts.values()) == {1}


async def test_a_batch_waits_for_a_disk_that_takes_no_file_and_is_not_held_responsible(house):
    engine = await house.open(faults=parse_faults("file.publish.before:2-3:full"))
    dataset = await upload(engine, "n\n1\n")
    batch = await engine.start_batch(await save(engine, flow("start>a")), dataset.id)

    view = await reaches(engine, batch.run.id, RunStatus.COMPLETED)

    # Taken once: a batch is always taken from the store.
    assert view.run.epoch == 2


async def test_open_runs_are_taken_up_though_the_store_can_not_be_read_at_the_start(
    house, stage, monkeypatch
):
    monkeypatch.setattr(rowel.engine.timers, "SOON_S", 0.01)
    stage.hold("a")
    engine = await house.open()
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    await house.crash(engine)
    stage.let_go("a")

    engine = await house.open(faults=parse_faults("read:1:io"))

    await reaches(engine, run.run.id, RunStatus.COMPLETED)


async def test_what_was_on_its_way_when_its_owner_was_canceled_is_canceled_after_a_crash(
    house, stage, monkeypatch
):
    engine = await house.open()
    stage.hold("a")
    dataset = await upload(engine, "n\n1\n2\n3\n")
    batch = await engine.start_batch(await save(engine, flow("start>a a>b")), dataset.id, 2)
    await stage.begun("a", times=2)

    async def none(*_):
        return []

    monkeypatch.setattr(Cancels, "_owned", none)
    await engine.cancel(batch.run.id)
    monkeypatch.undo()
    engine = await house.restart(engine)

    rows = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)
    assert [row.run.status for row in rows] == [RunStatus.CANCELED] * 2
    assert (stage.count("a"), stage.count("b")) == (2, 0)
