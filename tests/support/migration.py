"""Brings a database to Rowel's newest tables."""

from __future__ import annotations

import asyncio


def migrate(url: str) -> None:
    """Make Rowel's tables in the database at `url`, and leave no connection to it."""
    asyncio.run(_migrate(url))


async def _migrate(url: str) -> None:
    # Imported here: what needs no database should not wait for SQLAlchemy.
    from rowel.store.database import Database

    database = Database(url)
    try:
        database.migrate()
    finally:
        await database.close()
