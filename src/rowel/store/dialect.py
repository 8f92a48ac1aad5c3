"""The whole difference between SQLite and Postgres."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect as SQLDialect
from sqlalchemy.pool import QueuePool

from rowel.store.statements import Step

#: What one step gave: its row where it returns one, else the number of rows it touched.
Result = tuple[Any, ...] | int | None


class Connection(Protocol):
    """The writer's own connection."""

    def begin(self) -> None: ...

    def run(self, groups: Sequence[Sequence[Step]]) -> list[list[Result]]:
        """Run every step in order and return a result for each."""

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


class Dialect(Protocol):
    """One kind of database."""

    #: Compiles Core statements with positional parameters.
    sql: SQLDialect
    #: Builds `INSERT ... ON CONFLICT`.
    insert: Callable[..., Any]
    #: Whether records of one commit are applied in run-id order (they take row locks).
    orders_groups: bool

    def engine(self) -> Engine:
        """An engine for reads and migrations."""

    def connect(self) -> Connection:
        """A connection for the writer."""

    def is_about_data(self, error: Exception) -> bool:
        """Whether one record's values caused it; then the others are written without that record."""

    def is_worth_replaying(self, error: Exception) -> bool:
        """Whether the same commit may succeed at once (a deadlock, a serialization failure)."""

    def is_database_error(self, error: Exception) -> bool:
        """Whether the driver raised it."""


class SQLite:
    """A file beside the server: WAL, synchronous=FULL, one writer, many readers."""

    sql: SQLDialect = sqlite.dialect(paramstyle="qmark")
    insert = staticmethod(sqlite.insert)
    orders_groups = False

    def __init__(self, path: str, busy_timeout_s: float = 30.0) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s

    def engine(self) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=24,
            connect_args={"check_same_thread": False, "timeout": self._busy_timeout_s},
        )
        event.listen(engine, "connect", lambda connection, _: self._prepare(connection))
        return engine

    def connect(self) -> Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=self._busy_timeout_s
        )
        self._prepare(connection)
        return SQLiteConnection(connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-16000")

    def is_about_data(self, error: Exception) -> bool:
        return isinstance(
            error,
            (
                sqlite3.IntegrityError,
                sqlite3.DataError,
                sqlite3.InterfaceError,
                sqlite3.ProgrammingError,
                OverflowError,
                UnicodeError,
            ),
        )

    def is_worth_replaying(self, error: Exception) -> bool:
        return False

    def is_database_error(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.Error)


class SQLiteConnection:
    """A sqlite3 connection in autocommit mode, with transactions begun by hand."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def run(self, groups: Sequence[Sequence[Step]]) -> list[list[Result]]:
        execute = self._connection.execute
        results: list[list[Result]] = []
        for group in groups:
            answers: list[Result] = []
            for sql, values in group:
                cursor = execute(sql, values)
                answers.append(cursor.fetchone() if cursor.description else cursor.rowcount)
            results.append(answers)
        return results

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class Postgres:
    """A server for many: psycopg 3, one pipeline a commit, prepared statements."""

    sql: SQLDialect = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves this class untyped
    insert = staticmethod(postgresql.insert)
    orders_groups = True

    def __init__(self, url: str) -> None:
        self.url = url

    def engine(self) -> Engine:
        url = self.url.replace("postgresql://", "postgresql+psycopg://", 1)
        return create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True)

    def connect(self) -> Connection:
        import psycopg

        return PostgresConnection(psycopg.connect(self.url, autocommit=True))

    def is_about_data(self, error: Exception) -> bool:
        import psycopg

        return isinstance(
            error, (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError, UnicodeError)
        )

    def is_worth_replaying(self, error: Exception) -> bool:
        from psycopg import errors

        return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))

    def is_database_error(self, error: Exception) -> bool:
        import psycopg

        return isinstance(error, psycopg.Error)


class PostgresConnection:
    """A psycopg connection whose steps travel in one pipeline."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def begin(self) -> None:
        self._connection.execute("BEGIN")

    def run(self, groups: Sequence[Sequence[Step]]) -> list[list[Result]]:
        with self._connection.pipeline():
            cursors = [
                [self._connection.cursor().execute(sql, values, prepare=True) for sql, values in group]
                for group in groups
            ]
        return [
            [cursor.fetchone() if cursor.description else cursor.rowcount for cursor in group]
            for group in cursors
        ]

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


def dialect_of(url: str) -> Dialect:
    """Return the dialect for `sqlite:///path` or a `postgresql://` URL."""
    if url.startswith("sqlite:///"):
        return SQLite(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        return Postgres(url.replace("postgres://", "postgresql://", 1))
    raise ValueError(f"Rowel keeps its data in SQLite or Postgres, not in {url.split(':', 1)[0]!r}")
