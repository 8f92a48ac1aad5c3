"""Reads what was done for requests that came with a key."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from rowel.core.records import Receipt
from rowel.store import rows
from rowel.store.tables import requests

#: How long a key stands for what was done under it. After that it may be used anew.
LIFETIME = timedelta(hours=24)


def get(connection: Connection, key: str, now: datetime) -> Receipt | None:
    """The receipt under this key, unless its time is over."""
    query = select(requests).where(
        requests.c.key == key, requests.c.created_at > rows.to_number(now - LIFETIME)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else rows.receipt_from_row(row)
