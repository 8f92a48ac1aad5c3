"""The lanes of batches: who works on which rows, where many processes work on one batch."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Exists, delete, exists, func, literal, select, update
from sqlalchemy.sql import ClauseElement

from rowel.core.records import RunID
from rowel.store.dialect import Dialect
from rowel.store.statements import Statement, compile_statement
from rowel.store.tables import batches, lanes, runs
from rowel.store.transitions import FINAL_RUN, number, word
from rowel.store.writer import Writer


class Lane(NamedTuple):
    """One lane as its worker has taken it: the rows from `start` to before `stop`, and its fencing token."""

    run_id: RunID
    number: int
    start: int
    stop: int
    epoch: int


class LaneWrites:
    """Opens, takes, moves and closes lanes. What a former worker of a lane writes does not land."""

    def __init__(self, writer: Writer, dialect: Dialect) -> None:
        self._writer = writer
        mine = (
            lanes.c.run_id == word("run_id"),
            lanes.c.lane == number("lane"),
            lanes.c.epoch == number("epoch"),
        )

        def compiled(statement: ClauseElement) -> Statement:
            return compile_statement(statement, dialect.sql)

        self._open = compiled(_opening(dialect))
        taken = update(lanes).where(lanes.c.run_id == word("run_id"), lanes.c.lane == number("lane"))
        self._take = compiled(
            taken.values(epoch=lanes.c.epoch + 1).returning(lanes.c.start, lanes.c.stop, lanes.c.epoch)
        )
        self._claim = compiled(_claiming(*mine))
        stop = select(lanes.c.stop).where(*mine).scalar_subquery()
        claimed = update(batches).where(batches.c.run_id == word("run_id"), batches.c.cursor < stop)
        self._advance = compiled(claimed.values(cursor=stop))
        self._keep = compiled(update(lanes).where(*mine).values(start=number("start")))
        self._close = compiled(delete(lanes).where(*mine))

    async def open(self, run_id: RunID, lane: int) -> bool:
        """Make a lane. False where it is there already, or the batch has ended."""
        step = self._open.bind({"run_id": run_id, "lane": lane})
        return (await self._writer.write([step], order=run_id, persistent=True))[0] == 1

    async def take(self, run_id: RunID, lane: int) -> Lane | None:
        """Take a lane over. None where it was closed."""
        step = self._take.bind({"run_id": run_id, "lane": lane})
        row = (await self._writer.write([step], order=run_id, persistent=True))[0]
        return Lane(run_id, lane, *row) if isinstance(row, tuple) else None

    async def claim(self, lane: Lane, size: int, bound: int, *, first: int = 0) -> Lane | None:
        """Give the lane, which has come to its `start`, the next `size` rows before row `bound`. Rows up to `first`
        that were not claimed are passed over.

        None where none is left, the lane has rows left, or isn't ours.
        """
        values = {**_of(lane), "start": lane.start, "first": first, "size": size, "bound": bound}
        steps = [self._claim.bind(values), self._advance.bind(values)]
        row = (await self._writer.write(steps, order=lane.run_id, persistent=True))[0]
        return lane._replace(start=row[0], stop=row[1]) if isinstance(row, tuple) else None

    async def keep(self, lane: Lane) -> bool:
        """Write how far the lane has come."""
        step = self._keep.bind({**_of(lane), "start": lane.start})
        return (await self._writer.write([step], order=lane.run_id, persistent=True))[0] == 1

    async def close(self, lane: Lane) -> bool:
        """Remove the lane: it has nothing to do any more."""
        step = self._close.bind(_of(lane))
        return (await self._writer.write([step], order=lane.run_id, persistent=True))[0] == 1


def _batch_lives() -> Exists:
    lives = select(1).where(runs.c.id == word("run_id"), runs.c.status.not_in(FINAL_RUN))
    return exists(lives.with_for_update(read=True, key_share=True))


def _opening(dialect: Dialect) -> ClauseElement:
    source = select(word("run_id"), number("lane"), literal(0), literal(0), literal(0)).where(_batch_lives())
    names = ["run_id", "lane", "start", "stop", "epoch"]
    opening: ClauseElement = dialect.insert(lanes).from_select(names, source).on_conflict_do_nothing()
    return opening


def _claiming(*mine: ColumnElement[bool]) -> ClauseElement:
    """The batch's row is locked first, so that no two lanes get the same rows."""
    batch = (
        select(func.greatest(batches.c.cursor, number("first")).label("cursor"))
        .where(batches.c.run_id == word("run_id"), batches.c.cursor < number("bound"))
        .with_for_update()
        .cte("batch")
    )
    end = func.least(batch.c.cursor + number("size"), number("bound"))
    return (
        update(lanes)
        .where(*mine, lanes.c.stop <= number("start"), _batch_lives(), batch.c.cursor < number("bound"))
        .values(start=batch.c.cursor, stop=end)
        .returning(lanes.c.start, lanes.c.stop)
    )


def _of(lane: Lane) -> dict[str, object]:
    return {"run_id": lane.run_id, "lane": lane.number, "epoch": lane.epoch}


def count(connection: Connection, run_id: str) -> int:
    """How many lanes a batch has."""
    query = select(func.count()).where(lanes.c.run_id == run_id)
    return int(connection.execute(query).scalar_one())
