"""Reads pauses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import CTE, Boolean, Connection, Exists, literal_column, select, true

from rowel.core.records import Pause, PauseID, Run, RunID
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


class Waiting(NamedTuple):
    """A pause in a row of a batch: of the row's own run, or of a run inside that the row waits for."""

    row_id: RunID
    pause_id: PauseID
    pause_time: datetime


def waiting_rows(
    connection: Connection, batch_id: str, node_id: str, *, at: datetime | None = None
) -> dict[int, Waiting]:
    """The oldest open pause at a node in each row of a batch, by row: those of now, or those that were open `at` a
    moment, whatever was answered since. A path names a node in a body too."""
    moment = rows.to_number(at)
    is_open = pauses.c.is_open == 1
    tree = _rows_and_children(batch_id, has_ended=at is not None)
    query = (
        select(tree.c.row_index, tree.c.row_id, pauses.c.id, pauses.c.pause_time)
        .join(tree, tree.c.id == pauses.c.run_id)
        .where(
            (pauses.c.node_id == node_id) | (pauses.c.path == node_id),
            is_open if at is None else is_open | (pauses.c.resume_time >= moment),
            true() if at is None else pauses.c.pause_time <= moment,
        )
        .order_by(pauses.c.pause_time.desc(), pauses.c.id.desc())
    )
    return {
        row.row_index: Waiting(RunID(row.row_id), PauseID(row.id), rows.to_moment(row.pause_time))
        for row in connection.execute(query)
    }


def _rows_and_children(batch_id: str, *, has_ended: bool) -> CTE:
    """The rows of a batch with all runs inside, those that ended too where asked for: a run's id, its row, and the id
    of that row's run."""
    own = runs_table.c
    is_meant = true() if has_ended else own.end_time.is_(None)
    is_owned = literal_column("runs.owner_id IS NOT NULL", Boolean())
    is_row = literal_column("runs.row_index IS NOT NULL", Boolean())
    is_child = literal_column("runs.owner_path IS NOT NULL", Boolean())
    tree = (
        select(own.id, own.row_index, own.id.label("row_id"))
        .where(own.owner_id == batch_id, is_owned, is_row, is_meant)
        .cte("tree", recursive=True)
    )
    return tree.union_all(
        select(own.id, tree.c.row_index, tree.c.row_id)
        .join(tree, own.owner_id == tree.c.id)
        .where(is_owned, is_child, is_meant)
    )


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
