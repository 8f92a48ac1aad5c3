"""Reads runs, tasks and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    RowMapping,
    ScalarSelect,
    Select,
    func,
    literal_column,
    select,
)

from rowel.core.records import Batch, Run, RunID, Task
from rowel.core.status import RunStatus, RunType
from rowel.store import handovers, rows
from rowel.store.tables import batches, runs, tasks

COLUMNS = [column for column in runs.c if column.name != "stamp"]

BY_START = (tasks.c.start_time.nulls_last(), tasks.c.path)

#: How many ids one IN (...) holds.
CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which runs a list shows. Times bound `start_time`, both inclusive. Partial runs show only when asked for."""

    workflow_id: str | None = None
    statuses: Sequence[RunStatus] = ()
    run_type: RunType | None = None
    parent_run_id: str | None = None
    #: The run that they repeat.
    origin_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    dataset_id: str | None = None
    #: Only runs older than this one, given as (start_time, id).
    before: tuple[datetime, str] | None = None


def get(connection: Connection, run_id: str) -> Run | None:
    row = connection.execute(select(*COLUMNS).where(runs.c.id == run_id)).mappings().first()
    return None if row is None else rows.run_from_row(row)


def get_many(connection: Connection, run_ids: Sequence[str]) -> dict[str, Run]:
    """These runs by their ids."""
    query = select(*COLUMNS).where(runs.c.id.in_(run_ids))
    return {row["id"]: rows.run_from_row(row) for row in connection.execute(query).mappings()}


def get_tasks(connection: Connection, run_id: str) -> list[Task]:
    """The run's tasks that have begun or ended, by start; canceled ones that never began last."""
    return get_tasks_of(connection, [run_id])[run_id]


def get_tasks_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[Task]]:
    """The tasks of many runs, by run id."""
    found: dict[str, list[Task]] = {}
    for start in range(0, len(run_ids), CHUNK):
        found |= _tasks_of_chunk(connection, run_ids[start : start + CHUNK])
    return found


def _tasks_of_chunk(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[Task]]:
    of_run: dict[str, list[RowMapping]] = {run_id: [] for run_id in run_ids}
    query = select(tasks).where(tasks.c.run_id.in_(run_ids)).order_by(*BY_START)
    found = connection.execute(query).mappings().all()
    for row in found:
        of_run[row["run_id"]].append(row)
    asked = handovers.runs_asked(found)
    inputs = select(runs.c.id, runs.c.initial_inputs).where(runs.c.id.in_(asked))
    own = {run_id: rows.from_text(text) or {} for run_id, text in connection.execute(inputs)} if asked else {}
    return {run_id: handovers.tasks_of(found, own) for run_id, found in of_run.items()}


def get_batch(connection: Connection, run_id: str) -> Batch | None:
    return get_batches(connection, [run_id]).get(run_id)


def get_batches(connection: Connection, run_ids: Sequence[str]) -> dict[str, Batch]:
    """The batches among these runs. All counts of one are those of one moment."""
    if not run_ids:
        return {}
    counts = [_open_rows().label("paused"), _open_rows(is_paused=False).label("running")]
    query = select(batches, *counts).where(batches.c.run_id.in_(run_ids))
    found = [rows.batch_from_row(row) for row in connection.execute(query).mappings()]
    return {batch.run_id: batch for batch in found}


def _open_rows(*, is_paused: bool = True) -> ScalarSelect[int]:
    """How many rows of a batch wait for a person, or how many move."""
    is_waiting = runs.c.status == RunStatus.PAUSED.value
    return (
        select(func.count())
        .where(
            runs.c.owner_id == batches.c.run_id,
            literal_column("owner_id IS NOT NULL"),
            runs.c.end_time.is_(None),
            is_waiting if is_paused else ~is_waiting,
        )
        .scalar_subquery()
    )


class OpenRun(NamedTuple):
    """A run that has work, how often it was given some from outside, and how often it was taken over in vain."""

    id: RunID
    signals: int
    recoveries: int


def open_runs(connection: Connection) -> list[OpenRun]:
    """Runs that have work, oldest first. Rows of a batch are left out: their batch takes them up itself."""
    query = (
        select(runs.c.id, runs.c.signals, runs.c.recoveries)
        .where(literal_column("has_work = 1"), runs.c.row_index.is_(None))
        .order_by(runs.c.start_time)
    )
    return [OpenRun(RunID(run_id), *counts) for run_id, *counts in connection.execute(query)]


def open_rows(connection: Connection, batch_id: str, limit: int) -> list[OpenRun]:
    """The first rows of a batch, in row order, that have begun and have work."""
    query = (
        select(runs.c.id, runs.c.signals, runs.c.recoveries)
        .where(*_open_of(batch_id), runs.c.has_work == 1)
        .limit(limit)
        .order_by(runs.c.row_index)
    )
    return [OpenRun(RunID(run_id), *counts) for run_id, *counts in connection.execute(query)]


def open_owned(connection: Connection, owner_id: str) -> list[Run]:
    """All open runs that this run owns, at any depth."""
    found: list[Run] = []
    owners = [owner_id]
    while owners:
        query = _open_owned(owners.pop())
        children = [rows.run_from_row(row) for row in connection.execute(query).mappings()]
        found += children
        owners += [child.id for child in children]
    return found


def _open_owned(owner_id: str) -> Select[tuple[object]]:
    return select(*COLUMNS).where(*_open_of(owner_id))


def _open_of(owner_id: str) -> tuple[ColumnElement[bool], ...]:
    owned = literal_column("owner_id IS NOT NULL", Boolean())
    return runs.c.owner_id == owner_id, owned, runs.c.end_time.is_(None)


def orphans(connection: Connection) -> list[Run]:
    """Open runs whose owner has ended: they were on their way into the store while it was canceled."""
    owner = runs.alias("owner")
    waited_for = select(runs.c.owner_id).where(
        literal_column("owner_id IS NOT NULL"), runs.c.end_time.is_(None)
    )
    ended = select(owner.c.id).where(owner.c.id.in_(waited_for), owner.c.end_time.is_not(None))
    return [
        run for owner_id in connection.execute(ended).scalars() for run in open_owned(connection, owner_id)
    ]


def child_of(connection: Connection, owner_id: str, owner_path: str) -> Run | None:
    """The child run that a subworkflow task started."""
    query = select(*COLUMNS).where(
        runs.c.owner_id == owner_id, runs.c.owner_path == owner_path, literal_column("owner_path IS NOT NULL")
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else rows.run_from_row(row)


def rows_of(connection: Connection, batch_id: str, start: int, limit: int) -> list[Run]:
    """The row runs of a batch from row `start` on, in row order."""
    query = (
        select(*COLUMNS)
        .where(
            runs.c.owner_id == batch_id,
            literal_column("row_index IS NOT NULL"),
            runs.c.row_index >= start,
        )
        .order_by(runs.c.row_index)
        .limit(limit)
    )
    return [rows.run_from_row(row) for row in connection.execute(query).mappings()]


def rows_at(connection: Connection, batch_id: str, indexes: Sequence[int]) -> list[Run]:
    """The row runs of a batch at these rows, as far as they have begun."""
    query = select(*COLUMNS).where(
        runs.c.owner_id == batch_id,
        literal_column("row_index IS NOT NULL"),
        runs.c.row_index.in_(indexes),
    )
    return [rows.run_from_row(row) for row in connection.execute(query).mappings()]


def rows_that(
    connection: Connection, batch_id: str, status: RunStatus, after: int, limit: int
) -> list[tuple[int, str | None]]:
    """The rows of a batch that ended like this, from behind row `after` on, in order, each with its run's message."""
    query = (
        select(runs.c.row_index, runs.c.message)
        .where(
            runs.c.owner_id == batch_id,
            literal_column("row_index IS NOT NULL"),
            runs.c.row_index > after,
            runs.c.status == status.value,
        )
        .limit(limit)
        .order_by(runs.c.row_index)
    )
    return [(row.row_index, rows.from_text(row.message)) for row in connection.execute(query)]


def open_repeat_of(connection: Connection, run_id: str) -> Run | None:
    """An open run that repeats this one."""
    query = (
        select(*COLUMNS)
        .where(runs.c.origin_id == run_id, literal_column("origin_id IS NOT NULL"), runs.c.end_time.is_(None))
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else rows.run_from_row(row)


def open_batch_on(connection: Connection, dataset_id: str) -> Run | None:
    """An open batch that reads this dataset."""
    query = select(*COLUMNS).where(runs.c.input_dataset_id == dataset_id, runs.c.end_time.is_(None)).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else rows.run_from_row(row)
