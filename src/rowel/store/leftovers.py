"""What nobody needs any more, runs aside: receipts, deleted workflows, writers that are gone, files without records,
free pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from sqlalchemy import ColumnElement, Connection, Exists, delete, exists, select, text, update
from sqlalchemy.sql import ClauseElement

from rowel.store import rows
from rowel.store.dialect import Dialect, SQLite
from rowel.store.statements import Statement, compile_statement
from rowel.store.tables import (
    allowances,
    datasets,
    output_files,
    requests,
    runs,
    versions,
    workflows,
    writers,
)
from rowel.store.transitions import number, word
from rowel.store.writer import Writer

#: A writer that has written nothing for so long is that of a process that has ended.
WRITER_SILENCE = timedelta(days=30)
#: What was taken of a limit and earned so long ago makes no difference, whatever clock is wrong.
ALLOWANCE_SILENCE = timedelta(days=1)

#: Where the records of files are. The id is in the key.
_RECORDS = {"datasets": datasets, "outputs": output_files}


def without_record(connection: Connection, folder: str, keys: Collection[str]) -> set[str]:
    """Those of the keys, all of one folder, that no record names."""
    table = _RECORDS.get(folder)
    if table is None:
        return set(keys)
    ids = [PurePosixPath(key).stem for key in keys]
    return set(keys) - set(connection.execute(select(table.c.key).where(table.c.id.in_(ids))).scalars())


def deleted_workflows(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Workflows that were deleted before that moment, have no runs, and that no definition names: a workflow may run
    a version of one that was deleted."""
    is_deleted = workflows.c.deleted_at < rows.to_number(before)
    query = select(workflows.c.id).where(is_deleted, ~_has_runs(), *_unnamed())
    return list(connection.execute(query.limit(limit)).scalars())


def free_pages(connection: Connection) -> int:
    """Pages of SQLite's file that hold nothing and can be given back."""
    if connection.dialect.name != "sqlite":
        return 0
    is_incremental = connection.execute(text("PRAGMA auto_vacuum")).scalar_one() == 2
    return int(connection.execute(text("PRAGMA freelist_count")).scalar_one()) if is_incremental else 0


class LeftoverWrites:
    """Removes leftovers through the process's one writer."""

    def __init__(self, writer: Writer, dialect: Dialect) -> None:
        self._writer = writer
        self._dialect = dialect
        is_old = requests.c.created_at < number("before")
        some = select(requests.c.key).where(is_old).order_by(requests.c.created_at).limit(number("count"))
        self._forget_requests = self._compiled(delete(requests).where(requests.c.key.in_(some)))
        this = workflows.c.id == word("workflow_id")
        is_deleted = workflows.c.deleted_at < number("before")
        self._forget_workflow = self._compiled(delete(workflows).where(this, is_deleted, ~_has_runs()))
        is_there = exists(select(1).where(this))
        of_it = versions.c.workflow_id == word("workflow_id")
        self._forget_versions = self._compiled(delete(versions).where(of_it, ~is_there))
        is_news: ColumnElement[bool] = writers.c.seen_n.is_(None) | (writers.c.seen_n != writers.c.n)
        seen = update(writers).where(is_news).values({"seen_n": writers.c.n, "seen_at": number("now")})
        self._see_writers = self._compiled(seen)
        is_silent = (writers.c.seen_n == writers.c.n, writers.c.seen_at < number("before"))
        times = (allowances.c.requests_at, allowances.c.tokens_at, allowances.c.held_until)
        is_idle = (time < number("before") for time in times)
        self._forget_allowances = self._compiled(delete(allowances).where(*is_idle))
        self._forget_writers = self._compiled(delete(writers).where(*is_silent))

    async def forget_requests(self, before: datetime, count: int) -> int:
        """Forget what was done under idempotency keys before that moment; return how many of at most `count` went."""
        values = {"before": rows.to_number(before), "count": count}
        (went,) = await self._writer.write([self._forget_requests.bind(values)])
        return went if isinstance(went, int) else 0

    async def forget_workflows(self, workflow_ids: Sequence[str], before: datetime) -> None:
        """Forget workflows that were deleted before that moment and have no runs, with their versions."""
        for workflow_id in workflow_ids:
            values = {"workflow_id": workflow_id, "before": rows.to_number(before)}
            await self._writer.write([self._forget_workflow.bind(values), self._forget_versions.bind(values)])

    async def forget_writers(self, now: datetime) -> None:
        """Note what each writer has written, and forget those that have been silent since long ago."""
        silent_since = rows.to_number(now - WRITER_SILENCE)
        await self._writer.write(
            [
                self._see_writers.bind({"now": rows.to_number(now)}),
                self._forget_writers.bind({"before": silent_since}),
            ]
        )

    async def forget_allowances(self, now: datetime) -> None:
        """Forget what was taken of limits so long ago that it makes no difference."""
        before = rows.to_number(now - ALLOWANCE_SILENCE)
        await self._writer.write([self._forget_allowances.bind({"before": before})])

    async def give_back(self, pages: int) -> None:
        """Make SQLite's file smaller by so many free pages. Elsewhere the database does that itself."""
        if isinstance(self._dialect, SQLite):
            # The driver makes one step of a statement without columns: one page.
            await self._writer.write([("PRAGMA incremental_vacuum(1)", ())] * pages)

    def _compiled(self, statement: ClauseElement) -> Statement:
        return compile_statement(statement, self._dialect.sql)


def _unnamed() -> Iterator[ColumnElement[bool]]:
    others = workflows.alias("others")
    for table, owner_id in ((others, others.c.id), (versions, versions.c.workflow_id)):
        names_it = table.c.definition.contains(workflows.c.id)
        yield ~exists(select(1).select_from(table).where(owner_id != workflows.c.id, names_it))


def _has_runs() -> Exists:
    return exists(select(1).where(runs.c.workflow_id == workflows.c.id))
