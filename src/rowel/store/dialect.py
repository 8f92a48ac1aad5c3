"""What the kinds of databases differ in, and SQLite. Postgres is loaded where it is used."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy import Connection as SQLConnection
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import Dialect as SQLDialect
from sqlalchemy.pool import QueuePool

from rowel.store.news import Job
from rowel.store.statements import Step

#: Seconds that a write or a read waits for another process's lock on a SQLite file, and that a migration does.
BUSY_S = 3.0
MIGRATION_BUSY_S = 30.0
#: KiB of pages that a connection to a SQLite file keeps. There are many that read, and the system caches the file too.
READ_CACHE_KIB = 4_000
WRITE_CACHE_KIB = 16_000

#: What one step gave: its row where it returns one, else the number of rows it touched.
Result = tuple[Any, ...] | int | None


class Connection(Protocol):
    """The writer's own connection."""

    def begin(self) -> None: ...

    def run(self, groups: Sequence[Sequence[Step]]) -> list[list[Result]]:
        """Run every step in order and return a result for each."""

    def enqueue(self, jobs: Sequence[Job]) -> None:
        """Put work into the queue, in this transaction."""

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
        """An engine for reads, each on one consistent snapshot."""

    def migration(self, engine: Engine) -> AbstractContextManager[SQLConnection]:
        """A transaction for migrations; nobody else migrates meanwhile."""

    def hold(self, *, shares: bool) -> Any | None:
        """Hold the database until the answer is closed: for one engine alone, or as one of many that share it. None
        where others hold it otherwise."""

    def connect(self) -> Connection:
        """A connection for the writer."""

    def announcement(self, sender: str, ids: Sequence[str]) -> Sequence[Step]:
        """What tells other processes, with the commit, that these runs changed."""

    def is_about_data(self, error: Exception) -> bool:
        """Whether one group's values caused it; then the others are written without that group."""

    def is_worth_replaying(self, error: Exception) -> bool:
        """Whether the same commit may succeed at once (a deadlock, a serialization failure)."""

    def is_database_error(self, error: Exception) -> bool:
        """Whether the driver raised it."""


class SQLite:
    """A file beside the server: WAL, synchronous=FULL, one writer, many readers."""

    sql: SQLDialect = sqlite.dialect(paramstyle="qmark")
    insert = staticmethod(sqlite.insert)
    orders_groups = False

    def __init__(self, path: str) -> None:
        self.path = path

    def engine(self) -> Engine:
        return self._engine(BUSY_S)

    def _engine(self, busy_timeout_s: float) -> Engine:
        # sqlite3 begins no transaction for reads by itself, so that each query would see another state.
        engine = create_engine(
            URL.create("sqlite", database=self.path),
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=24,
            # Few are used where few are needed: what each has cached stays with it.
            pool_use_lifo=True,
            connect_args={
                "check_same_thread": False,
                "timeout": busy_timeout_s,
                "isolation_level": None,
            },
        )
        event.listen(engine, "connect", lambda connection, _: _prepare(connection, READ_CACHE_KIB))
        event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def migration(self, engine: Engine) -> Iterator[SQLConnection]:
        patient = self._engine(MIGRATION_BUSY_S)
        try:
            with patient.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
                yield connection
        finally:
            patient.dispose()

    def hold(self, *, shares: bool) -> Any | None:
        # The data directory has a lock of its own, so here is nothing to let go of.
        return ExitStack()

    def announcement(self, sender: str, ids: Sequence[str]) -> Sequence[Step]:
        return ()

    def connect(self) -> Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
        _prepare(connection, WRITE_CACHE_KIB)
        return SQLiteConnection(connection)

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


def _prepare(connection: sqlite3.Connection, cache_kib: int) -> None:
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        # New files only, since it writes: pages that retention frees can be given back, a few at a time.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")


def _begin(connection: SQLConnection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


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

    def enqueue(self, jobs: Sequence[Job]) -> None:
        raise NotImplementedError("on SQLite runs move in the process that accepts them")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


def dialect_of(url: str) -> Dialect:
    """Return the dialect for `sqlite:///path` or a `postgresql://` URL."""
    if url.startswith("sqlite:///"):
        return SQLite(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from rowel.store.postgres import Postgres

        return Postgres(url.replace("postgres://", "postgresql://", 1))
    raise ValueError(f"Rowel keeps its data in SQLite or Postgres, not in {url.split(':', 1)[0]!r}")
