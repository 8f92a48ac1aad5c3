"""The one writer: groups together in one commit, each with its own answer, whatever the store does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import bindparam

import rowel.store.writer
from rowel.core.errors import Unavailable
from rowel.store.database import Database
from rowel.store.statements import Statement, compile_statement
from rowel.store.tables import writers
from rowel.store.writer import Writer
from tests.support.faults import FaultyDialect
from tests.support.processes import eventually

Opened = tuple[Writer, FaultyDialect, Statement]


#: Seconds between tries.
DELAYS_S = (0.001,)


@pytest.fixture
async def open_writer(database_url: str) -> AsyncIterator[Callable[..., Opened]]:
    """Makes a writer on a database that fails by plan, and a statement that inserts a row once."""
    database = Database(database_url)
    opened: list[Writer] = []

    def make(*plan: str) -> Opened:
        dialect = FaultyDialect(database.dialect, *plan)
        insert = dialect.insert(writers).values(id=bindparam("id", ""), n=bindparam("n", 0))
        opened.append(Writer(dialect, DELAYS_S))
        return opened[-1], dialect, compile_statement(insert, dialect.sql)

    yield make
    for one in opened:
        await one.close()
    await database.close()


async def rows(database_url: str) -> dict[str, int]:
    """What the test's statements wrote; writers mark their commits in the same table by random ids."""
    database = Database(database_url)
    found = await database.read(lambda connection: list(connection.execute(writers.select())))
    await database.close()
    return {row.id: row.n for row in found if row.id.startswith("t")}


async def test_what_arrives_together_is_committed_together(database_url: str, open_writer: Any) -> None:
    writer, dialect, insert = open_writer()
    await asyncio.gather(*[writer.write([insert.bind({"id": f"t{n}", "n": n})]) for n in range(100)])
    assert dialect.commits <= 2
    assert await rows(database_url) == {f"t{n}": n for n in range(100)}


async def test_each_hears_its_own_results(open_writer: Any) -> None:
    writer, _, insert = open_writer()
    answers = await asyncio.gather(
        writer.write([insert.bind({"id": "ta", "n": 1}), insert.bind({"id": "tb", "n": 1})]),
        writer.write([insert.bind({"id": "tc", "n": 1})]),
    )
    assert answers == [[1, 1], [1]]


@pytest.mark.parametrize("bad", [{"id": "t1", "n": 1}, {"id": "t\ud800", "n": 1}, {"id": "tx", "n": 2**80}])
async def test_one_groups_bad_data_takes_no_other_with_it(
    database_url: str, open_writer: Any, bad: Any
) -> None:
    writer, _, insert = open_writer()
    groups = [
        [insert.bind({"id": "t1", "n": 1})],
        [insert.bind({"id": "t2", "n": 2}), insert.bind(bad)],
        [insert.bind({"id": "t3", "n": 3})],
    ]
    answers = await asyncio.gather(*[writer.write(group) for group in groups], return_exceptions=True)
    assert answers[0] == [1]
    assert isinstance(answers[1], Exception)
    assert not isinstance(answers[1], Unavailable)
    assert answers[2] == [1]
    assert await rows(database_url) == {"t1": 1, "t3": 3}
    assert writer.trouble is None


@pytest.mark.parametrize("bad", [{0}, {99}, {0, 1}, {3, 50, 127}])
async def test_bad_data_among_much_is_found_in_few_commits(
    database_url: str, open_writer: Any, bad: set[int]
) -> None:
    writer, dialect, insert = open_writer()
    groups = [[insert.bind({"id": f"t{n}", "n": 2**80 if n in bad else n})] for n in range(128)]
    answers = await asyncio.gather(*[writer.write(group) for group in groups], return_exceptions=True)
    assert {n for n, answer in enumerate(answers) if answer != [1]} == bad
    assert set(await rows(database_url)) == {f"t{n}" for n in range(128) if n not in bad}
    assert dialect.commits <= 7 * len(bad)


async def test_bad_data_is_an_answer_also_for_what_must_be_written(open_writer: Any) -> None:
    writer, _, insert = open_writer()
    with pytest.raises(Exception, match=r"(?i)int"):
        await writer.write([insert.bind({"id": "t1", "n": 2**80})], persistent=True)
    assert writer.trouble is None


async def test_groups_are_written_in_the_order_that_keeps_locks_apart(open_writer: Any) -> None:
    writer, dialect, insert = open_writer()
    words = ["b", "a", "c", "a"]
    await asyncio.gather(
        *[writer.write([insert.bind({"id": f"t{n}", "n": n})], order=word) for n, word in enumerate(words)]
    )
    written = [group[0][1][0] for groups in dialect.ran for group in groups[:-1]]
    assert written == (["t1", "t3", "t0", "t2"] if dialect.orders_groups else ["t0", "t1", "t2", "t3"])


def many(writer: Writer, insert: Statement, count: int) -> list[asyncio.Future[Any]]:
    """Groups that stand behind others."""
    return [
        asyncio.ensure_future(
            writer.write([insert.bind({"id": f"t{n}", "n": n})], persistent=True, behind=True)
        )
        for n in range(count)
    ]


async def test_who_stands_behind_lets_others_pass(database_url: str, open_writer: Any) -> None:
    writer, dialect, insert = open_writer()
    rows_of_a_batch = many(writer, insert, 20)
    asked = writer.write([insert.bind({"id": "t-asked", "n": 1})])
    assert await asked == [1]
    first = [group[0][1][0] for group in dialect.ran[0][:-1]]
    assert "t-asked" in first
    assert len(first) == 1 + rowel.store.writer.FEW_BEHIND
    assert await asyncio.gather(*rows_of_a_batch) == [[1]] * 20
    assert len(await rows(database_url)) == 21


async def test_where_nobody_else_writes_those_behind_share_large_commits(open_writer: Any) -> None:
    writer, dialect, insert = open_writer()
    await asyncio.gather(*many(writer, insert, 100))
    assert dialect.commits <= 3


@pytest.mark.parametrize("moment", ["run", "commit", "after commit"])
async def test_those_behind_land_once_though_a_commits_answer_was_lost(
    database_url: str, open_writer: Any, moment: str
) -> None:
    writer, _, insert = open_writer(moment, "look")
    rows_of_a_batch = many(writer, insert, 30)
    asked = asyncio.ensure_future(writer.write([insert.bind({"id": "t-asked", "n": 1})], persistent=True))
    assert await asyncio.gather(*rows_of_a_batch, asked) == [[1]] * 31
    assert len(await rows(database_url)) == 31


async def test_whoever_stops_waiting_does_not_take_the_write_back(
    database_url: str, open_writer: Any
) -> None:
    writer, _, insert = open_writer()
    waiting = asyncio.ensure_future(writer.write([insert.bind({"id": "t1", "n": 1})]))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await writer.write([insert.bind({"id": "t2", "n": 2})]) == [1]
    assert waiting.cancelled()
    assert await rows(database_url) == {"t1": 1, "t2": 2}


@pytest.mark.parametrize("moment", ["connect", "begin", "run", "mid run", "commit"])
async def test_a_store_in_trouble_refuses_and_writes_nothing(
    database_url: str, open_writer: Any, moment: str
) -> None:
    writer, _, insert = open_writer(*[moment] * 1000)
    with pytest.raises(Unavailable, match="nothing was changed"):
        await writer.write([insert.bind({"id": "t1", "n": 1})])
    assert writer.trouble == moment
    assert await rows(database_url) == {}


@pytest.mark.parametrize("moment", ["connect", "begin", "run", "mid run", "commit"])
async def test_a_store_that_is_back_takes_the_next_write(
    database_url: str, open_writer: Any, moment: str
) -> None:
    writer, _, insert = open_writer(moment)
    with pytest.raises(Unavailable):
        await writer.write([insert.bind({"id": "t1", "n": 1})])
    assert await writer.write([insert.bind({"id": "t2", "n": 2})]) == [1]
    assert writer.trouble is None
    assert await rows(database_url) == {"t2": 2}


@pytest.mark.parametrize("moment", ["connect", "begin", "run", "mid run", "commit"])
@pytest.mark.parametrize("times", [1, 5])
async def test_what_must_be_written_is_tried_until_the_store_is_back(
    database_url: str, open_writer: Any, moment: str, times: int
) -> None:
    writer, dialect, insert = open_writer(*[moment] * times)
    assert await writer.write([insert.bind({"id": "t1", "n": 1})], persistent=True) == [1]
    assert dialect.plan == []
    assert writer.trouble is None
    assert await rows(database_url) == {"t1": 1}


async def test_a_store_that_is_back_is_noticed_though_nobody_writes(open_writer: Any, caplog: Any) -> None:
    writer, dialect, insert = open_writer("run", "run", "commit")
    with pytest.raises(Unavailable):
        await writer.write([insert.bind({"id": "t1", "n": 1})])
    await eventually(lambda: writer.trouble is None)
    assert dialect.plan == []
    told = [record.message for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert told == ["the store refuses writes: run", "the store takes writes again"]


async def test_a_connection_that_died_while_it_was_idle_costs_nothing(
    database_url: str, open_writer: Any
) -> None:
    writer, dialect, insert = open_writer()
    await writer.write([insert.bind({"id": "t1", "n": 1})])
    dialect.plan.append("begin")
    assert await writer.write([insert.bind({"id": "t2", "n": 2})]) == [1]
    assert writer.trouble is None


async def test_what_must_not_wait_fails_while_what_must_be_written_waits(
    database_url: str, open_writer: Any
) -> None:
    writer, _, insert = open_writer("run")
    answers = await asyncio.gather(
        writer.write([insert.bind({"id": "t1", "n": 1})]),
        writer.write([insert.bind({"id": "t2", "n": 2})], persistent=True),
        return_exceptions=True,
    )
    assert isinstance(answers[0], Unavailable)
    assert answers[1] == [1]
    assert await rows(database_url) == {"t2": 2}


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("lost_looks", [0, 1, 3])
async def test_a_commit_whose_answer_was_lost_is_looked_up_and_never_repeated(
    database_url: str, open_writer: Any, persistent: bool, lost_looks: int
) -> None:
    writer, _, insert = open_writer("after commit", *["look"] * lost_looks)
    steps = [insert.bind({"id": "t1", "n": 1})]
    if lost_looks and not persistent:
        with pytest.raises(Unavailable, match="not known"):
            await writer.write(steps)
    else:
        assert await writer.write(steps, persistent=persistent) == [1]
    assert await rows(database_url) == {"t1": 1}
    assert await writer.write([insert.bind({"id": "t2", "n": 2})], persistent=True) == [1]
    assert await rows(database_url) == {"t1": 1, "t2": 2}


async def test_a_commit_that_was_lost_before_it_landed_is_repeated(
    database_url: str, open_writer: Any
) -> None:
    writer, _, insert = open_writer("commit", "look", "look")
    assert await writer.write([insert.bind({"id": "t1", "n": 1})], persistent=True) == [1]
    assert await rows(database_url) == {"t1": 1}


@pytest.mark.parametrize("lost_looks", [0, 2])
async def test_a_commit_before_is_not_taken_for_the_one_that_was_lost(
    database_url: str, open_writer: Any, lost_looks: int
) -> None:
    writer, dialect, insert = open_writer()
    await writer.write([insert.bind({"id": "t1", "n": 1})])
    dialect.plan += ["commit", *["look"] * lost_looks]
    assert await writer.write([insert.bind({"id": "t2", "n": 2})], persistent=True) == [1]
    assert await rows(database_url) == {"t1": 1, "t2": 2}


class Gate(FaultyDialect):
    """Lets a planned fault wait until the test lets it through."""

    def __init__(self, inner: Any, *plan: str) -> None:
        super().__init__(inner, *plan)
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def reach(self, moment: str) -> None:
        if self.is_next(moment):
            self.reached.set()
            assert self.go_on.wait(20)
        super().reach(moment)


async def test_what_arrives_during_trouble_is_written_after_what_waits(database_url: str) -> None:
    database = Database(database_url)
    dialect = Gate(database.dialect, "run")
    writer = Writer(dialect, DELAYS_S)
    insert = compile_statement(
        dialect.insert(writers).values(id=bindparam("id", ""), n=bindparam("n", 0)), dialect.sql
    )
    first = asyncio.ensure_future(writer.write([insert.bind({"id": "t1", "n": 1})], persistent=True))
    await asyncio.to_thread(dialect.reached.wait)
    second = asyncio.ensure_future(writer.write([insert.bind({"id": "t1", "n": 2})], persistent=True))
    # One turn lets it ask, the next hands it over.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    dialect.go_on.set()
    assert await first == [1]
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await second
    await writer.close()
    await database.close()
    assert await rows(database_url) == {"t1": 1}


class Stall(Gate):
    """Lets a planned moment wait until the test lets it through, without a fault."""

    def reach(self, moment: str) -> None:
        if self.is_next(moment):
            self.plan.pop(0)
            self.reached.set()
            assert self.go_on.wait(20)


async def test_who_waits_for_a_store_that_hangs_is_told_what_is_known(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowel.store.writer, "ANSWER_WITHIN_S", 0.1)
    database = Database(database_url)
    dialect = Stall(database.dialect, "commit")
    writer = Writer(dialect, DELAYS_S)
    insert = compile_statement(
        dialect.insert(writers).values(id=bindparam("id", ""), n=bindparam("n", 0)), dialect.sql
    )
    with pytest.raises(Unavailable, match="whether this was kept is not known"):
        await writer.write([insert.bind({"id": "t1", "n": 1})])
    with pytest.raises(Unavailable, match="nothing was changed"):
        await writer.write([insert.bind({"id": "t2", "n": 2})])
    patient = asyncio.ensure_future(writer.write([insert.bind({"id": "t3", "n": 3})], persistent=True))
    await asyncio.sleep(0.2)
    assert not patient.done()
    dialect.go_on.set()
    assert await patient == [1]
    await writer.close()
    await database.close()
    assert await rows(database_url) == {"t1": 1, "t3": 3}


async def test_closing_waits_for_a_store_that_hangs_but_not_for_ever(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowel.store.writer, "CLOSE_WITHIN_S", 0.1)
    database = Database(database_url)
    dialect = Stall(database.dialect, "run")
    writer = Writer(dialect, DELAYS_S)
    mark = dialect.insert(writers).values(id="t1", n=1)
    writing = asyncio.ensure_future(
        writer.write([compile_statement(mark, dialect.sql).bind({})], persistent=True)
    )
    await asyncio.to_thread(dialect.reached.wait)

    async with asyncio.timeout(10):
        await writer.close()

    assert not writing.done()
    dialect.go_on.set()
    assert await writing == [1]
    await database.close()


async def test_order_is_kept_over_trouble(database_url: str, open_writer: Any) -> None:
    writer, _, insert = open_writer("run", "run")
    first = asyncio.ensure_future(writer.write([insert.bind({"id": "t1", "n": 1})], persistent=True))
    again = asyncio.ensure_future(writer.write([insert.bind({"id": "t1", "n": 2})], persistent=True))
    assert await first == [1]
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await again
    assert await rows(database_url) == {"t1": 1}


async def test_closing_writes_what_is_queued(database_url: str, open_writer: Any) -> None:
    writer, _, insert = open_writer()
    writes = [asyncio.ensure_future(writer.write([insert.bind({"id": f"t{n}", "n": n})])) for n in range(20)]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*writes) == [[1]] * 20
    assert len(await rows(database_url)) == 20


async def test_closing_gives_up_what_the_store_does_not_take(open_writer: Any) -> None:
    writer, dialect, insert = open_writer(*["run"] * 10_000)
    write = asyncio.ensure_future(writer.write([insert.bind({"id": "t1", "n": 1})], persistent=True))
    await eventually(lambda: len(dialect.plan) < 9_990)
    assert not write.done()
    await writer.close()
    with pytest.raises(Unavailable):
        await write


async def test_after_closing_nothing_is_taken(database_url: str, open_writer: Any) -> None:
    writer, _, insert = open_writer()
    await writer.close()
    with pytest.raises(Unavailable, match="closed"):
        await writer.write([insert.bind({"id": "t1", "n": 1})])
    assert await rows(database_url) == {}


async def test_closing_twice_and_closing_unused_is_fine(open_writer: Any) -> None:
    writer, _, _ = open_writer()
    await writer.close()
    await writer.close()


async def test_a_connection_that_the_server_cuts_is_opened_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    writer = database.writer
    insert = compile_statement(
        database.dialect.insert(writers).values(id=bindparam("id", ""), n=bindparam("n", 0)),
        database.dialect.sql,
    )
    await writer.write([insert.bind({"id": "t1", "n": 1})])
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    await database.read(lambda connection: connection.exec_driver_sql(cut).all())
    assert await writer.write([insert.bind({"id": "t2", "n": 2})], persistent=True) == [1]
    assert writer.trouble is None
    await database.close()
    assert await rows(postgres_url) == {"t1": 1, "t2": 2}


async def test_every_stamp_is_another(open_writer: Any) -> None:
    writer, _, _ = open_writer()
    other, _, _ = open_writer()
    stamps = [one.next_stamp() for one in (writer, other) for _ in range(1000)]
    assert len(set(stamps)) == 2000
    assert max(stamps) < 2**63


def test_a_loop_that_closed_without_waiting_does_not_break_the_writer(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    dialect = FaultyDialect(database.dialect)
    writer = Writer(dialect, DELAYS_S)
    insert = dialect.insert(writers).values(id=bindparam("id", ""), n=bindparam("n", 0))
    statement = compile_statement(insert, dialect.sql)

    async def leave() -> None:
        leaving = asyncio.ensure_future(writer.write([statement.bind({"id": "t1", "n": 1})]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()

    async def come_back() -> None:
        assert await writer.write([statement.bind({"id": "t2", "n": 2})]) == [1]
        await writer.close()
        await database.close()

    # The commit can't be made before the loop is closed.
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asyncio.run(leave())
        other.execute("ROLLBACK")
    asyncio.run(come_back())
    assert asyncio.run(rows(sqlite_url)) == {"t1": 1, "t2": 2}
