"""Looks whether a database is usable, without changing it."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from rowel.store.dialect import SQLite, dialect_of


def examine(url: str) -> str | None:
    """Open the database and read it. Return what is wrong in a sentence, or None."""
    dialect = dialect_of(url)
    engine = dialect.engine()
    try:
        with engine.connect() as connection:
            return _integrity(connection) if isinstance(dialect, SQLite) else None
    except SQLAlchemyError as error:
        return f"can't be opened: {getattr(error, 'orig', None) or type(error).__name__}"
    finally:
        engine.dispose()


def _integrity(connection: Connection) -> str | None:
    found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
    return None if found == "ok" else f"is damaged: {found}"
