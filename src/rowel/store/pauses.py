"""Reads pauses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Exists, literal_column, select

from rowel.core.records import Pause, Run
from rowel.core.status import RunStatus
from rowel.store import rows, runs
from rowel.store.tables import pauses
from rowel.store.tables import runs as runs_table

COLUMNS = [column for column in pauses.c if column.name != "stamp"]


def of_run(connection: Connection, run_id: str) -> list[Pause]:
    """All pauses the run ever had, newest first."""
    query = (
        select(*COLUMNS)
        .where(pauses.c.run_id == run_id)
        .order_by(pauses.c.pause_time.desc(), pauses.c.id.desc())
    )
    return [rows.pause_from_row(row) for row in connection.execute(query).mappings()]


def open_of_run(connection: Connection, run_id: str) -> list[Pause]:
    """The run's open pauses, oldest first."""
    return [pause for pause in reversed(of_run(connection, run_id)) if pause.is_open]


def get(connection: Connection, pause_id: str) -> Pause | None:
    row = connection.execute(select(*COLUMNS).where(pauses.c.id == pause_id)).mappings().first()
    return None if row is None else rows.pause_from_row(row)


def of_ids(connection: Connection, pause_ids: Sequence[str]) -> list[tuple[Pause, Run]]:
    """These pauses in this order, each with its run."""
    query = select(*COLUMNS).where(pauses.c.id.in_(pause_ids))
    found = {row["id"]: rows.pause_from_row(row) for row in connection.execute(query).mappings()}
    known = [found[pause_id] for pause_id in pause_ids if pause_id in found]
    of_pause = runs.get_many(connection, [pause.run_id for pause in known])
    return [(pause, of_pause[pause.run_id]) for pause in known if pause.run_id in of_pause]


def waiting_rows(connection: Connection, batch_id: str, node_id: str) -> dict[int, str]:
    """The oldest open pause at a node in each row of a batch, {row: pause id}. A path names a node in a body too."""
    query = (
        select(runs_table.c.row_index, pauses.c.id)
        .join(runs_table, runs_table.c.id == pauses.c.run_id)
        .where(
            runs_table.c.owner_id == batch_id,
            literal_column("runs.owner_id IS NOT NULL"),
            runs_table.c.end_time.is_(None),
            pauses.c.is_open == 1,
            (pauses.c.node_id == node_id) | (pauses.c.path == node_id),
        )
        .order_by(pauses.c.pause_time.desc(), pauses.c.id.desc())
    )
    return {row.row_index: row.id for row in connection.execute(query)}


def due(connection: Connection, now: datetime) -> list[Pause]:
    """Open pauses whose time is up, the longest overdue first."""
    query = (
        select(*COLUMNS)
        .where(literal_column("is_open = 1 AND due_at IS NOT NULL"), pauses.c.due_at <= rows.to_number(now))
        .order_by(pauses.c.due_at)
        .limit(1000)
    )
    return [rows.pause_from_row(row) for row in connection.execute(query).mappings()]


def next_due(connection: Connection) -> datetime | None:
    """When the next open pause runs out."""
    query = (
        select(pauses.c.due_at)
        .where(literal_column("is_open = 1 AND due_at IS NOT NULL"))
        .order_by(pauses.c.due_at)
        .limit(1)
    )
    return rows.from_number(connection.execute(query).scalar())


def waiting_runs(connection: Connection, *, limit: int, offset: int) -> list[tuple[Run, Pause]]:
    """Runs that are PAUSED, each with its oldest open pause, the newest pause first."""
    paused = (
        select(*COLUMNS)
        .join(runs_table, runs_table.c.id == pauses.c.run_id)
        .where(
            literal_column("pauses.is_open = 1"),
            runs_table.c.status == RunStatus.PAUSED.value,
            ~_older_open(),
        )
        .order_by(pauses.c.pause_time.desc(), pauses.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    found = [rows.pause_from_row(row) for row in connection.execute(paused).mappings()]
    pairs = [(runs.get(connection, pause.run_id), pause) for pause in found]
    return [(run, pause) for run, pause in pairs if run is not None]


def _older_open() -> Exists:
    older = pauses.alias("older")
    return (
        select(1)
        .where(
            older.c.run_id == pauses.c.run_id,
            literal_column("older.is_open = 1"),
            (older.c.pause_time < pauses.c.pause_time)
            | ((older.c.pause_time == pauses.c.pause_time) & (older.c.id < pauses.c.id)),
        )
        .exists()
    )
