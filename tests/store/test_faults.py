"""A database whose steps fail where they are told to, and what the store makes of it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

import rowel.store.database
from rowel.core.errors import Unavailable
from rowel.core.faults import Harm, Point
from rowel.store.database import Database
from rowel.store.faults import faulty_dialect
from rowel.store.statements import compile_statement
from rowel.store.tables import writers


class Plan:
    """Which harm each point does, and the points in the order in which they were reached."""

    def __init__(self) -> None:
        self.harms: dict[Point, Harm] = {}
        self.reached: list[Point] = []

    def reach(self, point: Point) -> Harm | None:
        self.reached.append(point)
        return self.harms.get(point)


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
async def database(database_url: str, plan: Plan) -> AsyncIterator[Database]:
    opened = Database(database_url, faulty_dialect(database_url, plan.reach))
    yield opened
    await opened.close()


def look(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def write(database: Database, name: str) -> None:
    dialect = database.dialect
    await database.writer.write(
        [compile_statement(dialect.insert(writers).values(id=name, n=1), dialect.sql).bind({})]
    )


async def test_a_write_passes_its_points_in_order(database: Database, plan: Plan) -> None:
    await write(database, "t")

    statement = [Point.STATEMENT_BEFORE, Point.STATEMENT_AFTER]
    assert plan.reached == [
        Point.CONNECT,
        Point.BEGIN_BEFORE,
        Point.BEGIN_AFTER,
        *statement,
        *statement,
        Point.COMMIT_BEFORE,
        Point.COMMIT_AFTER,
    ]


@pytest.mark.parametrize("harm", [Harm.IO, Harm.FULL, Harm.LOCKED])
@pytest.mark.parametrize(
    "point", [point for point in Point if not point.startswith(("file", "read", "commit"))]
)
async def test_each_point_may_refuse_a_write(
    database: Database, plan: Plan, point: Point, harm: Harm
) -> None:
    plan.harms[point] = harm
    with pytest.raises(Unavailable, match="nothing was changed"):
        await write(database, "t")
    assert database.trouble is not None
    plan.harms.clear()

    await write(database, "t")

    assert await database.look() is None


async def test_what_can_not_be_read_is_said_until_it_can_be(
    database: Database, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    plan.harms[Point.READ] = Harm.IO
    for _ in range(2):
        with pytest.raises(Unavailable, match="can't be read at the moment"):
            await database.read(look)
    assert await database.look() == database.trouble is not None
    plan.harms.clear()

    assert await database.look() is None
    assert await database.read(look) == 1
    told = [record.message.partition(":")[0] for record in caplog.records if record.name.startswith("rowel")]
    assert told == ["the store can't be read", "the store can be read again"]


async def test_a_value_that_can_not_be_asked_for_is_no_trouble(database: Database) -> None:
    def ask(connection: Connection) -> object:
        return connection.execute(text("SELECT n FROM writers WHERE id = :id"), {"id": {1}}).all()

    with pytest.raises(DBAPIError) as raised:
        await database.read(ask)
    assert "writers" in str(raised.value)
    assert database.trouble is None


async def test_who_reads_from_a_store_that_hangs_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowel.store.database, "READ_WITHIN_S", 0.05)
    goes_on = threading.Event()
    with pytest.raises(Unavailable, match="can't be read"):
        await database.read(lambda _: goes_on.wait(20))
    assert database.trouble == "it gave no answer within 0.05 s"
    goes_on.set()
