"""Counts what is open, up to a limit: a count costs the same however much there is."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from rowel.store.tables import pauses, runs


def open_runs(connection: Connection, most: int) -> dict[str, int]:
    """{status: count} of the open runs; of more than `most` the newest."""
    newest = (
        select(runs.c.status)
        .where(runs.c.end_time.is_(None))
        .order_by(runs.c.start_time.desc())
        .limit(most)
        .subquery()
    )
    found = connection.execute(select(newest.c.status, func.count()).group_by(newest.c.status)).all()
    return {row[0]: row[1] for row in found}


def open_pauses(connection: Connection, most: int) -> int:
    """How many pauses wait for an answer, counted up to `most`."""
    waiting = select(pauses.c.id).where(pauses.c.is_open == 1).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(waiting)).scalar_one())
