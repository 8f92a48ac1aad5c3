"""Several processes on one Postgres: who waits for whom, and whose write lands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from sqlalchemy import BigInteger, Text, bindparam, update

from rowel.core.status import RunStatus
from rowel.store.database import Database
from rowel.store.journal import Changes, Journal
from rowel.store.statements import compile_statement
from rowel.store.tables import writers
from rowel.store.transitions import Transitions
from rowel.store.writer import Writer
from tests.support.faults import FaultyDialect
from tests.support.ledger import NOON, Ledger, decision, facts, make_run, make_task, rest
from tests.support.locks import Onlooker, onlooker, transaction


@pytest.fixture
async def ledger(postgres_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def others(postgres_url: str) -> AsyncIterator[Onlooker]:
    async with onlooker(postgres_url) as looking:
        yield looking


# Guards wait for what another process is about to do


@pytest.mark.parametrize("is_taken", [True, False])
@pytest.mark.parametrize("write", ["advance", "rest"])
async def test_a_write_waits_for_whoever_takes_the_run_over_and_then_sees_it(
    ledger: Ledger, others: Onlooker, write: str, is_taken: bool
) -> None:
    run = await ledger.begin()
    changes = Changes(tasks=[make_task(run, "a")], facts=facts(1))
    async with transaction(ledger.url, f"UPDATE runs SET epoch = epoch + 1 WHERE id = '{run.id}'") as taking:
        if write == "advance":
            late = asyncio.ensure_future(ledger.journal.advance(run, changes))
        else:
            late = asyncio.ensure_future(ledger.journal.rest(run, changes, rest(RunStatus.COMPLETED)))
        await others.waiting()
        await (taking.commit() if is_taken else taking.rollback())
        assert await late == (None if is_taken else 2)
    assert set(await ledger.tasks(run.id)) == (set() if is_taken else {"a"})
    assert await ledger.numbers(run.id) == ([1] if is_taken else [1, 2])


async def test_a_rest_waits_for_an_answer_and_then_sees_that_there_is_work(
    ledger: Ledger, others: Onlooker
) -> None:
    run = await ledger.begin()
    signal = f"UPDATE runs SET signals = signals + 1, has_work = 1 WHERE id = '{run.id}'"
    async with transaction(ledger.url, signal) as answering:
        resting = asyncio.ensure_future(ledger.journal.rest(run, Changes(), rest(RunStatus.PAUSED)))
        await others.waiting()
        await answering.commit()
        assert await resting is None


async def test_a_child_waits_for_the_cancel_of_its_owner_and_does_not_begin(
    ledger: Ledger, others: Onlooker
) -> None:
    owner = await ledger.begin()
    child = make_run(owner_id=owner.id, owner_path="sub")
    locked = f"(SELECT id FROM runs WHERE id = '{owner.id}' FOR UPDATE)"
    cancel = f"UPDATE runs SET status = 'CANCELED' WHERE id = {locked}"
    async with transaction(ledger.url, cancel) as canceling:
        beginning = asyncio.ensure_future(
            ledger.journal.begin(child, Changes(tasks=[make_task(child, "a")], facts=facts(1)))
        )
        await others.waiting()
        await canceling.commit()
        assert not await beginning
    assert await ledger.tasks(child.id) == {}
    assert await ledger.numbers(child.id) == []


@pytest.mark.parametrize("end", ["cancel", "rest"])
async def test_what_ends_an_owner_waits_for_a_child_that_begins(
    ledger: Ledger, others: Onlooker, end: str
) -> None:
    owner = await ledger.begin()
    begins = f"SELECT 1 FROM runs WHERE id = '{owner.id}' FOR KEY SHARE"
    async with transaction(ledger.url, begins) as beginning:
        if end == "cancel":
            write = ledger.journal.cancel(owner, [], message="no", time=NOON, facts=facts(1))
        else:
            write = ledger.journal.rest(owner, Changes(facts=facts(1)), rest(RunStatus.FAILED))
        ending = asyncio.ensure_future(write)
        await others.waiting()
        await beginning.commit()
        assert await ending == 2


async def test_what_is_told_of_an_owner_does_not_wait_for_a_child_that_begins(ledger: Ledger) -> None:
    owner = await ledger.begin()
    begins = f"SELECT 1 FROM runs WHERE id = '{owner.id}' FOR KEY SHARE"
    async with transaction(ledger.url, begins), asyncio.timeout(10):
        assert await ledger.journal.report(await ledger.run(owner.id), facts(1)) == 2
        assert await ledger.journal.advance(owner, Changes(facts=facts(1))) == 3


async def test_what_was_read_before_others_told_more_is_not_told(ledger: Ledger) -> None:
    owner = await ledger.begin()
    first = await ledger.run(owner.id)
    assert await ledger.journal.report(first, facts(1)) == 2

    assert await ledger.journal.report(first, facts(1)) is None

    assert await ledger.journal.report(await ledger.run(owner.id), facts(1)) == 3


async def test_an_answer_waits_for_a_cancel_and_does_not_land(ledger: Ledger, others: Onlooker) -> None:
    run, (pause,) = await ledger.paused("ask")
    cancel = f"UPDATE runs SET status = 'CANCELED' WHERE id = '{run.id}'"
    async with transaction(ledger.url, cancel) as canceling:
        answering = asyncio.ensure_future(ledger.journal.decide(run, decision(pause), facts(1)))
        await others.waiting()
        await canceling.commit()
        assert await answering is None
    assert [kept.is_open for kept in await ledger.pauses(run.id)] == [True]


async def test_the_last_of_two_answers_from_two_processes_sets_the_run_going(
    ledger: Ledger, others: Onlooker
) -> None:
    run, (first, second) = await ledger.paused("a", "b")
    # Another process answers the second pause, and is still in its transaction.
    answer = (
        f"SELECT 1 FROM runs WHERE id = '{run.id}' FOR UPDATE",
        f"UPDATE pauses SET is_open = 0 WHERE id = '{second.id}'",
        f"UPDATE runs SET has_work = 1, signals = signals + 1 WHERE id = '{run.id}'",
    )
    async with transaction(ledger.url, *answer) as answering:
        answered = asyncio.ensure_future(ledger.journal.decide(run, decision(first), facts(1)))
        await others.waiting()
        await answering.commit()
    landed = await answered
    assert landed is not None
    assert landed.status is RunStatus.RUNNING


async def test_a_batch_counts_a_row_that_ends_while_the_batch_is_canceled(
    ledger: Ledger, others: Onlooker
) -> None:
    batch = await ledger.batch(total=3)
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    # The row's process has counted its end and is about to commit.
    end = (
        f"UPDATE runs SET status = 'COMPLETED', end_time = 1 WHERE id = '{row.id}'",
        f"UPDATE batches SET completed = completed + 1 WHERE run_id = '{batch.id}'",
    )
    async with transaction(ledger.url, *end) as ending:
        canceling = asyncio.ensure_future(
            ledger.journal.cancel(batch, [row], message="x", time=NOON, facts=facts(1))
        )
        await others.waiting()
        await ending.commit()
        assert await canceling is not None
    counts = await ledger.counts(batch.id)
    assert (counts.completed, counts.canceled) == (1, 2)
    assert (await ledger.run(row.id)).status is RunStatus.COMPLETED


# Writers that meet trouble on the way


@dataclass
class Process:
    """One process's writer and journal, counted."""

    url: str
    plan: tuple[str, ...] = ()
    dialect: FaultyDialect = field(init=False)
    writer: Writer = field(init=False)
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.dialect = FaultyDialect(self.database.dialect, *self.plan)
        self.writer = Writer(self.dialect, (0.001,))
        self.journal = Journal(self.writer, Transitions(self.dialect))
        more = update(writers).where(writers.c.id == bindparam("key", type_=Text()))
        self._more = compile_statement(
            more.values(n=writers.c.n + bindparam("by", type_=BigInteger())), self.dialect.sql
        )

    async def count(self, *names: str) -> list[Any]:
        """Add one to each of the named counters, each in a group of its own, in this order."""
        return await asyncio.gather(
            *[
                self.writer.write(
                    [self._more.bind({"key": name, "by": 1})], order=str(place), persistent=True
                )
                for place, name in enumerate(names)
            ]
        )

    async def close(self) -> None:
        await self.writer.close()
        await self.database.close()


@pytest.fixture
async def counters(postgres_url: str) -> str:
    """The URL of a database that holds two counters, in which deadlocks are noticed soon."""
    async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
        await connection.execute("INSERT INTO writers (id, n) VALUES ('t1', 0), ('t2', 0)")
        name = connection.info.dbname
        await connection.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    return postgres_url


async def counted(url: str) -> dict[str, int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT id, n FROM writers WHERE id LIKE 't_'")
        return dict(await cursor.fetchall())


async def test_a_deadlocked_commit_is_replayed(counters: str, others: Onlooker) -> None:
    process = Process(counters)
    patient = "SET deadlock_timeout = '100s'"
    async with transaction(counters, "INSERT INTO writers (id, n) VALUES ('between', 0)"):
        pass
    async with (
        transaction(counters, "UPDATE writers SET n = 1 WHERE id = 'between'") as gate,
        transaction(counters, patient, "UPDATE writers SET n = n + 10 WHERE id = 't2'") as other,
    ):
        writing = asyncio.ensure_future(process.count("t1", "between", "t2"))
        await others.waiting()
        overtaking = asyncio.ensure_future(other.execute("UPDATE writers SET n = n + 10 WHERE id = 't1'"))
        await others.waiting(2)
        # Now the commit closes the circle, and whoever does that looks for it.
        await gate.commit()
        await overtaking
        await other.commit()
        assert await writing == [[1], [1], [1]]
    assert process.dialect.begun > process.dialect.commits == 1
    assert process.writer.trouble is None
    await process.close()
    assert await counted(counters) == {"t1": 11, "t2": 11}


async def test_a_connection_cut_in_the_middle_of_a_commit_is_opened_again_and_the_commit_repeated(
    counters: str, others: Onlooker
) -> None:
    process = Process(counters)
    async with transaction(counters, "UPDATE writers SET n = n + 10 WHERE id = 't2'") as other:
        writing = asyncio.ensure_future(process.count("t1", "t2"))
        (waiting,) = await others.waiting()
        await others.cut(waiting)
        await others.gone(waiting)
        await others.waiting()
        await other.commit()
        assert await writing == [[1], [1]]
    await process.close()
    assert await counted(counters) == {"t1": 1, "t2": 11}


@pytest.mark.parametrize("lands", [True, False])
async def test_a_commit_that_hangs_in_the_server_is_waited_for_before_it_is_repeated(
    counters: str, others: Onlooker, lands: bool
) -> None:
    process = Process(counters, ("hanging commit",))
    writing = asyncio.ensure_future(process.count("t1"))
    await others.waiting()
    (hanging,) = process.dialect.hanging
    assert not writing.done()
    if lands:
        hanging.commit()
    else:
        hanging.rollback()
    assert await writing == [[1]]
    hanging.close()
    assert process.dialect.commits == (0 if lands else 1)
    await process.close()
    assert (await counted(counters))["t1"] == 1


async def test_answers_from_two_processes_do_not_deadlock(ledger: Ledger) -> None:
    processes = [Process(ledger.url), Process(ledger.url)]
    for _ in range(10):
        run, (first, second) = await ledger.paused("a", "b")
        answers = await asyncio.gather(
            *[
                process.journal.decide(run, decision(pause), facts(1))
                for process in processes
                for pause in (first, second)
            ]
        )
        assert sum(answer is not None for answer in answers) == 2
        seen = await ledger.run(run.id)
        assert (seen.status, seen.signals) == (RunStatus.RUNNING, 2)
        assert await ledger.numbers(run.id) == list(range(1, seen.seq + 1))
    for process in processes:
        assert process.dialect.begun == process.dialect.commits
        await process.close()


async def test_rows_of_one_batch_end_in_two_processes_and_are_all_counted(ledger: Ledger) -> None:
    batch = await ledger.batch(total=40)
    made = [await ledger.begin(owner_id=batch.id, row_index=n) for n in range(40)]
    processes = [Process(ledger.url), Process(ledger.url)]
    await asyncio.gather(
        *[
            processes[n % 2].journal.rest(row, Changes(facts=facts(1)), rest(RunStatus.COMPLETED))
            for n, row in enumerate(made)
        ]
    )
    assert (await ledger.counts(batch.id)).completed == 40
    for process in processes:
        await process.close()
