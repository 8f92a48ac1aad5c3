"""Removes runs that have ended, with all that belongs to them, a little at a time.

A run goes in two steps. Its row and what is small go at once, and leave a mark in `pruned`: from then on nobody finds
it any more. What may be large (tasks, events, the runs that it owns, the bytes of its file) goes after that, in
pieces; the mark goes last. Whoever is killed in between leaves marks, and the next one goes on from there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Exists,
    Select,
    Table,
    delete,
    exists,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.sql import ClauseElement

from rowel.store import rows
from rowel.store.dialect import Dialect
from rowel.store.statements import Statement, Step, compile_statement
from rowel.store.tables import batches, causes, events, lanes, output_files, pauses, pruned, runs, tasks
from rowel.store.transitions import number, word
from rowel.store.writer import Writer

#: How many ids one IN (...) holds.
CHUNK = 500
#: Bytes of a page, roughly.
PAGE = 4000

# What open runs need, and what batches need that are not old themselves and repeat rows of others; with all above it.
_NEEDED = """
    WITH RECURSIVE needed(id) AS (
        SELECT owner_id FROM runs WHERE owner_id IS NOT NULL AND end_time IS NULL
        UNION
        SELECT parent_run_id FROM runs
        WHERE parent_run_id IS NOT NULL AND owner_id IS NULL AND end_time IS NULL
        UNION
        SELECT origin_id FROM runs
        WHERE origin_id IS NOT NULL AND (end_time IS NULL OR (output_file_id IS NOT NULL AND end_time >= :before))
        UNION
        SELECT CASE way.n WHEN 1 THEN runs.owner_id ELSE runs.origin_id END
        FROM needed JOIN runs ON runs.id = needed.id CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2) AS way
        WHERE (way.n = 1 AND runs.owner_id IS NOT NULL)
        OR (way.n = 2 AND runs.origin_id IS NOT NULL AND runs.output_file_id IS NOT NULL)
    )
"""
_OLD = text(
    f"""
    {_NEEDED}
    SELECT id, end_time FROM runs
    WHERE owner_id IS NULL AND end_time IS NOT NULL AND end_time < :before
    AND (end_time > :time OR (end_time = :time AND id > :id))
    AND id NOT IN (SELECT id FROM needed)
    ORDER BY end_time, id LIMIT :limit
    """
)

#: The small things that go with a run's row, and what may be large.
_WITH_IT = (pauses, batches, causes, lanes)
_LARGE = (tasks, events)


class Old(NamedTuple):
    """A run that nobody needs any more, and when it ended (as the database has it)."""

    id: str
    end_time: int


class Marked(NamedTuple):
    """A run that is gone, and of which something may be left."""

    run_id: str
    file_key: str | None


class Pieces(NamedTuple):
    """Rows of one table (`tasks` or `events`) that belong to one run that is gone."""

    table: str
    run_id: str
    rows: int


class Gone(NamedTuple):
    """What one step removed, or would remove."""

    runs: int = 0
    tasks: int = 0
    events: int = 0
    output_files: int = 0


#: Before every run.
BEGINNING = Old("", 0)


def old_runs(connection: Connection, before: datetime, limit: int, after: Old = BEGINNING) -> list[Old]:
    """Top-level runs that ended before that moment and that no other run needs, the oldest first."""
    values = {"before": rows.to_number(before), "time": after.end_time, "id": after.id, "limit": limit}
    return [Old(*row) for row in connection.execute(_OLD, values)]


def marked(connection: Connection, limit: int) -> list[Marked]:
    """Runs that are gone, those that are part of others first: they began later."""
    query = select(pruned.c.run_id, pruned.c.file_key).order_by(pruned.c.run_id.desc()).limit(limit)
    return [Marked(*row) for row in connection.execute(query)]


def owned_by(connection: Connection, run_ids: Sequence[str], limit: int | None = None) -> list[str]:
    """Runs that these own, up to a limit."""
    found: list[str] = []
    for part in ("row_index IS NOT NULL", "owner_path IS NOT NULL"):
        query = select(runs.c.id).where(runs.c.owner_id.in_(run_ids), literal_column(part))
        found += connection.execute(query if limit is None else query.limit(limit - len(found))).scalars()
    return found


def pieces(connection: Connection, run_ids: Sequence[str], size: int) -> list[Pieces]:
    """What one step removes of these runs that are gone: rows that together make about `size` pages, at least one."""
    found: list[Pieces] = []
    with closing(_rows_left(connection, run_ids)) as left:
        for table, run_id, pages in left:
            if found and found[-1][:2] == (table, run_id):
                found[-1] = found[-1]._replace(rows=found[-1].rows + 1)
            else:
                found.append(Pieces(table, run_id, 1))
            size -= pages
            if size <= 0:
                break
    return found


def _rows_left(connection: Connection, run_ids: Sequence[str]) -> Generator[tuple[str, str, int], None, None]:
    """The rows of these runs in order: of which table and run, and about how many pages each of them takes."""
    for table in _LARGE:
        # Read as they are taken, so that what comes after the last one is not measured.
        found = connection.execute(_sizes(connection, table, run_ids), execution_options={"yield_per": 10})
        with found:
            for run_id, size in found:
                yield table.name, run_id, 1 + size // PAGE


def _sizes(connection: Connection, table: Table, run_ids: Sequence[str]) -> Select[str, int]:
    length = func.length if connection.dialect.name == "sqlite" else func.octet_length
    long = [column for column in table.c if column.name in ("inputs", "outputs", "body")]
    size: ColumnElement[Any] = sum((func.coalesce(length(column), 0) for column in long), literal(0))
    return (
        select(table.c.run_id, size).where(table.c.run_id.in_(run_ids)).order_by(table.c.run_id, _key(table))
    )


def weigh(connection: Connection, run_ids: Sequence[str]) -> Gone:
    """How much these runs are, with those that they own."""
    total, waiting = Gone(), [list(run_ids)]
    while waiting:
        ids = waiting.pop()
        total = Gone(*map(sum, zip(total, _weight(connection, ids), strict=True)))
        owned = owned_by(connection, ids)
        waiting += [owned[start : start + CHUNK] for start in range(0, len(owned), CHUNK)]
    return total


def _weight(connection: Connection, ids: Sequence[str]) -> Gone:
    of_runs = select(func.count(), func.coalesce(func.sum(runs.c.seq), 0)).where(runs.c.id.in_(ids))
    count, seq = connection.execute(of_runs).one()
    of_tasks = select(func.count()).where(tasks.c.run_id.in_(ids))
    return Gone(
        runs=count,
        tasks=connection.execute(of_tasks).scalar_one(),
        events=int(seq),
        output_files=len(file_keys(connection, ids)),
    )


def file_keys(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """The keys of the output files of these runs."""
    query = select(output_files.c.key).join(runs, runs.c.output_file_id == output_files.c.id)
    return list(connection.execute(query.where(runs.c.id.in_(run_ids))).scalars())


class PruneWrites:
    """Removes runs through the process's one writer. Each method is one group, so callers keep it small."""

    def __init__(self, writer: Writer, dialect: Dialect) -> None:
        self._writer = writer
        self._dialect = dialect
        this = runs.c.id == word("run_id")
        self._lock = self._compiled(select(runs.c.id).where(this).with_for_update())
        is_old = (runs.c.owner_id.is_(None), runs.c.end_time < number("before"))
        self._mark_old = self._mark(this, *is_old, ~_is_repeated(), ~_is_parent())
        owner = exists(select(1).where(pruned.c.run_id == runs.c.owner_id))
        self._mark_owned = self._mark(this, runs.c.end_time.is_not(None), owner)
        file_id = select(runs.c.output_file_id).where(this).scalar_subquery()
        self._forget_file = self._delete(output_files, output_files.c.id == file_id)
        self._forget = self._delete(runs, this, returning=runs.c.seq)
        self._with_it = [self._delete(table, table.c.run_id == word("run_id")) for table in _WITH_IT]
        self._cut = {table.name: self._cut_from(table) for table in _LARGE}
        self._unmark = self._compiled(
            delete(pruned).where(pruned.c.run_id == word("run_id"), *_nothing_left())
        )

    async def forget_old(self, run_ids: Sequence[str], before: datetime) -> Gone:
        """Remove those of the runs that ended before that moment and that nobody needs."""
        return await self._forget_runs(run_ids, self._mark_old, rows.to_number(before))

    async def forget_owned(self, run_ids: Sequence[str]) -> Gone:
        """Remove runs whose owners are gone."""
        return await self._forget_runs(run_ids, self._mark_owned)

    async def remove(self, found: Sequence[Pieces]) -> int:
        """Remove so many rows of runs that are gone. Return how many tasks went."""
        steps = [self._cut[table].bind({"run_id": run_id, "count": count}) for table, run_id, count in found]
        results = await self._writer.write(steps)
        return sum(
            _count(result) for piece, result in zip(found, results, strict=True) if piece.table == tasks.name
        )

    async def unmark(self, run_ids: Sequence[str]) -> int:
        """Forget the marks of runs of which nothing is left. Return how many that were."""
        results = await self._writer.write([self._unmark.bind({"run_id": run_id}) for run_id in run_ids])
        return sum(map(_count, results))

    async def _forget_runs(self, run_ids: Sequence[str], mark: Statement, before: int | None = None) -> Gone:
        """For each run: lock it, so that what is looked at next stays as it is; mark it if it may go; then the rest,
        if it is marked."""
        each = [self._lock, mark, self._forget_file, self._forget, *self._with_it]
        steps: list[Step] = [
            statement.bind({"run_id": run_id, "before": before})
            for run_id in sorted(run_ids)
            for statement in each
        ]
        results = await self._writer.write(steps)
        files, gone = (
            results[2 :: len(each)],
            [row for row in results[3 :: len(each)] if isinstance(row, tuple)],
        )
        return Gone(runs=len(gone), events=sum(seq for (seq,) in gone), output_files=sum(map(_count, files)))

    def _mark(self, *conditions: ColumnElement[bool]) -> Statement:
        key = select(output_files.c.key).where(output_files.c.id == runs.c.output_file_id).scalar_subquery()
        source = select(runs.c.id, key).where(*conditions)
        mark = self._dialect.insert(pruned).from_select(["run_id", "file_key"], source)
        return self._compiled(mark.on_conflict_do_nothing())

    def _delete(
        self, table: Table, condition: ColumnElement[bool], *, returning: Column[int] | None = None
    ) -> Statement:
        is_marked = exists(select(1).where(pruned.c.run_id == word("run_id")))
        statement = delete(table).where(condition, is_marked)
        return self._compiled(statement if returning is None else statement.returning(returning))

    def _cut_from(self, table: Table) -> Statement:
        key = _key(table)
        of_run = table.c.run_id == word("run_id")
        some = select(key).where(of_run).order_by(key).limit(number("count"))
        return self._compiled(delete(table).where(of_run, key.in_(some)))

    def _compiled(self, statement: ClauseElement) -> Statement:
        return compile_statement(statement, self._dialect.sql)


def _key(table: Table) -> Column[Any]:
    """What orders the rows of one run."""
    return list(table.primary_key.columns)[1]


def _is_repeated() -> Exists:
    """Whether an open run repeats this one, or a batch takes rows from it."""
    repeat = runs.alias("repeat")
    needs_it = repeat.c.end_time.is_(None) | repeat.c.output_file_id.is_not(None)
    return exists(
        select(1).where(
            repeat.c.origin_id == word("run_id"), literal_column("repeat.origin_id IS NOT NULL"), needs_it
        )
    )


def _is_parent() -> Exists:
    """Whether an open run is listed under this one."""
    child = runs.alias("child")
    is_open = "child.parent_run_id IS NOT NULL AND child.owner_id IS NULL AND child.end_time IS NULL"
    return exists(select(1).where(child.c.parent_run_id == word("run_id"), literal_column(is_open)))


def _nothing_left() -> tuple[ColumnElement[bool], ...]:
    run_id = word("run_id")
    owned = runs.c.owner_id == run_id
    left = [
        select(1).where(tasks.c.run_id == run_id),
        select(1).where(events.c.run_id == run_id),
        select(1).where(owned, literal_column("row_index IS NOT NULL")),
        select(1).where(owned, literal_column("owner_path IS NOT NULL")),
    ]
    return tuple(~exists(query) for query in left)


def _count(result: object) -> int:
    return result if isinstance(result, int) else 0
