"""Lists of runs, in time that does not grow with how many there are.

Each kind and final status of runs lies in an index by itself, in order of time, and so do those that are open. A list
merges the parts that it shows: nothing is read that is not shown, however rare it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select, tuple_, union_all

from rowel.core.records import Run
from rowel.core.status import RunStatus, RunType
from rowel.store import rows
from rowel.store.runs import Filter, get_many
from rowel.store.tables import runs

_FINAL = [status for status in RunStatus if status.is_final]
#: What a list shows where no type is asked for.
_SHOWN = [run_type for run_type in RunType if run_type is not RunType.PARTIAL]

_NEWEST: tuple[ColumnElement[Any], ...] = (
    literal_column("start_time").desc(),
    literal_column("id").desc(),
)


def newest(connection: Connection, wanted: Filter, *, limit: int, offset: int = 0) -> list[Run]:
    """The runs that fit, newest start first. What is skipped (`offset`) is read, though only in an index."""
    # Each part ends by itself: Postgres would sort all of them.
    parts = [part.order_by(*_NEWEST).limit(limit + offset) for part in _parts(wanted)]
    merged = union_all(*(select(part.subquery()) for part in parts)) if len(parts) > 1 else parts[0]
    query = merged.order_by(None).order_by(*_NEWEST).limit(limit).offset(offset)
    ids = [str(row.id) for row in connection.execute(query)]
    found = get_many(connection, ids) if ids else {}
    return [found[run_id] for run_id in ids]


def _parts(wanted: Filter) -> Iterator[Select[tuple[str, int]]]:
    """What the list is merged from, each part in the order of one index."""
    shared = tuple(_shared(wanted))
    if wanted.parent_run_id or wanted.origin_id or wanted.dataset_id:
        yield _part(*shared, *_few(wanted))
        return
    statuses = wanted.statuses or list(RunStatus)
    for run_type in [wanted.run_type] if wanted.run_type else _SHOWN:
        for status in _FINAL:
            if status in statuses:
                yield _part(*shared, runs.c.run_type == run_type.value, *_ended_as(status))
    if not all(status.is_final for status in statuses):
        yield _part(*shared, _is_shown(wanted), *_open(wanted))


def _part(*conditions: ColumnElement[bool]) -> Select[tuple[str, int]]:
    return select(runs.c.id, runs.c.start_time).where(*conditions)


def _shared(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    if wanted.workflow_id is not None:
        yield runs.c.workflow_id == wanted.workflow_id
    if wanted.since is not None:
        yield runs.c.start_time >= rows.to_number(wanted.since)
    if wanted.until is not None:
        yield runs.c.start_time <= rows.to_number(wanted.until)
    if wanted.before is not None:
        yield tuple_(runs.c.start_time, runs.c.id) < (rows.to_number(wanted.before[0]), wanted.before[1])


def _few(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Of runs that have an index by what they belong to."""
    belongs = (
        (runs.c.parent_run_id, wanted.parent_run_id),
        (runs.c.origin_id, wanted.origin_id),
        (runs.c.input_dataset_id, wanted.dataset_id),
    )
    yield from (column == value for column, value in belongs if value is not None)
    yield _is_shown(wanted)
    if wanted.statuses:
        yield runs.c.status.in_([status.value for status in wanted.statuses])


def _ended_as(status: RunStatus) -> tuple[ColumnElement[bool], ...]:
    return runs.c.status == status.value, runs.c.end_time.is_not(None)


def _open(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    yield runs.c.end_time.is_(None)
    if wanted.statuses:
        yield runs.c.status.in_([status.value for status in wanted.statuses])


def _is_shown(wanted: Filter) -> ColumnElement[bool]:
    if wanted.run_type is None:
        return runs.c.run_type != RunType.PARTIAL.value
    return runs.c.run_type == wanted.run_type.value
