"""Reads why rows of batches failed."""

from __future__ import annotations

from sqlalchemy import Connection, select

from rowel.core.records import Cause, RunID
from rowel.store import rows
from rowel.store.tables import causes


def most_frequent(connection: Connection, batch_id: str, limit: int) -> list[Cause]:
    """The batch's causes of failure, the most frequent first."""
    query = (
        select(causes)
        .where(causes.c.run_id == batch_id)
        .order_by(causes.c.count.desc(), causes.c.signature)
        .limit(limit)
    )
    return [
        Cause(
            signature=rows.from_text(row["signature"]),
            count=row["count"],
            example_run_id=RunID(row["example_run_id"]),
            example_row=row["example_row"],
        )
        for row in connection.execute(query).mappings()
    ]
