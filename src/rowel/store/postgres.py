"""Postgres: a server for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection as SQLConnection
from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect as SQLDialect

from rowel.store.dialect import Connection, Result
from rowel.store.news import CHANNEL, Job, write_news
from rowel.store.statements import Step

#: Keeps migrations of one Postgres database apart.
MIGRATION_LOCK = 0x726F77656C
#: The advisory lock of whoever works on a database: one engine alone, or many that share it.
ENGINE_LOCK = 0x526F77656C

#: What libpq is told unless the URL says otherwise: how long a lost server may go unnoticed, in seconds
#: (`tcp_user_timeout`: in milliseconds).
PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}


class Postgres:
    """psycopg 3, one pipeline a commit, prepared statements."""

    sql: SQLDialect = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves this class untyped
    insert = staticmethod(postgresql.insert)
    orders_groups = True

    def __init__(self, url: str) -> None:
        self.url = url
        #: Puts jobs into the queue in a psycopg connection's transaction; None where this process works alone.
        self.enqueue: Callable[[Any, Sequence[Job]], None] | None = None

    def engine(self) -> Engine:
        return create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            isolation_level="REPEATABLE READ",
            pool_size=8,
            max_overflow=24,
            pool_pre_ping=True,
        )

    @contextmanager
    def migration(self, engine: Engine) -> Iterator[SQLConnection]:
        # READ COMMITTED, so that whoever waited for the lock sees what the other one did.
        with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            yield connection

    def hold(self, *, shares: bool) -> Any | None:
        lock = "pg_try_advisory_lock_shared" if shares else "pg_try_advisory_lock"
        with ExitStack() as given_up:
            connection = given_up.enter_context(closing(self._connect()))
            connection.autocommit = True
            if not connection.execute(f"SELECT {lock}(%s)", (ENGINE_LOCK,)).fetchone()[0]:
                return None
            given_up.pop_all()
        return connection

    def announcement(self, sender: str, ids: Sequence[str]) -> Sequence[Step]:
        if self.enqueue is None or not ids:
            return ()
        return [("SELECT pg_notify(%s, %s)", (CHANNEL, write_news(sender, ids)))]

    def connect(self) -> Connection:
        with ExitStack() as given_up:
            connection = given_up.enter_context(closing(self._connect()))
            connection.autocommit = True
            # Whoever stops for longer in the midst of a transaction (a paused machine) must not block all others.
            connection.execute("SET idle_in_transaction_session_timeout = '30s'")
            given_up.pop_all()
        return PostgresConnection(connection, self.enqueue)

    def settings(self) -> dict[str, Any]:
        """What libpq is told."""
        return {**PATIENCE, **conninfo_to_dict(self.url)}

    def _connect(self) -> Any:
        return psycopg.connect(**self.settings())

    def is_about_data(self, error: Exception) -> bool:
        # A table that isn't there and a right that is lacking are the store's trouble.
        return isinstance(
            error,
            (
                psycopg.IntegrityError,
                psycopg.DataError,
                psycopg.ProgrammingError,
                errors.ProgramLimitExceeded,
                UnicodeError,
            ),
        ) and not isinstance(error, (errors.UndefinedTable, errors.InsufficientPrivilege))

    def is_worth_replaying(self, error: Exception) -> bool:
        return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))

    def is_database_error(self, error: Exception) -> bool:
        return isinstance(error, psycopg.Error)


class PostgresConnection:
    """A psycopg connection whose steps travel in one pipeline."""

    def __init__(self, connection: Any, enqueue: Callable[[Any, Sequence[Job]], None] | None = None) -> None:
        self._connection = connection
        self._enqueue = enqueue

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

    def enqueue(self, jobs: Sequence[Job]) -> None:
        if self._enqueue is not None:
            self._enqueue(self._connection, jobs)

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()
