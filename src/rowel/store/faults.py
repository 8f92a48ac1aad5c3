"""Databases that fail where a test wants them to. Without faults nothing of this is on the way of a statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, event

from rowel.core.faults import Harm, Point, Reach
from rowel.store.dialect import Connection, Dialect, Result, SQLite, dialect_of
from rowel.store.news import Job
from rowel.store.postgres import Postgres
from rowel.store.statements import Step

#: Raises what the driver would, where a point is to report an error.
Pass = Callable[[Point], None]


def faulty_dialect(url: str, reach: Reach) -> Dialect:
    """The dialect of a URL, with faults at its points."""
    dialect = dialect_of(url)
    if isinstance(dialect, SQLite):
        return FaultySQLite(dialect.path, reach)
    assert isinstance(dialect, Postgres)
    return FaultyPostgres(dialect.url, reach)


class FaultySQLite(SQLite):
    """SQLite with faults."""

    def __init__(self, path: str, reach: Reach) -> None:
        super().__init__(path)
        self._pass = _passing(reach, _sqlite_error)

    def engine(self) -> Engine:
        return _watched(super().engine(), self._pass)

    def connect(self) -> Connection:
        self._pass(Point.CONNECT)
        return FaultyConnection(super().connect(), self._pass)


class FaultyPostgres(Postgres):
    """Postgres with faults."""

    def __init__(self, url: str, reach: Reach) -> None:
        super().__init__(url)
        self._pass = _passing(reach, _postgres_error)

    def engine(self) -> Engine:
        return _watched(super().engine(), self._pass)

    def connect(self) -> Connection:
        self._pass(Point.CONNECT)
        return FaultyConnection(super().connect(), self._pass)


class FaultyConnection:
    """The writer's connection, step by step, with a point before and after each."""

    def __init__(self, inner: Connection, passes: Pass) -> None:
        self._inner = inner
        self._pass = passes

    def begin(self) -> None:
        self._pass(Point.BEGIN_BEFORE)
        self._inner.begin()
        self._pass(Point.BEGIN_AFTER)

    def run(self, groups: Sequence[Sequence[Step]]) -> list[list[Result]]:
        return [[self._run(step) for step in group] for group in groups]

    def _run(self, step: Step) -> Result:
        self._pass(Point.STATEMENT_BEFORE)
        result = self._inner.run([[step]])[0][0]
        self._pass(Point.STATEMENT_AFTER)
        return result

    def enqueue(self, jobs: Sequence[Job]) -> None:
        self._inner.enqueue(jobs)

    def commit(self) -> None:
        self._pass(Point.COMMIT_BEFORE)
        self._inner.commit()
        self._pass(Point.COMMIT_AFTER)

    def rollback(self) -> None:
        self._inner.rollback()

    def close(self) -> None:
        self._inner.close()


def _passing(reach: Reach, error_of: Callable[[Harm], Exception]) -> Pass:
    def passes(point: Point) -> None:
        harm = reach(point)
        if harm is not None:
            raise error_of(harm)

    return passes


def _watched(engine: Engine, passes: Pass) -> Engine:
    """An engine whose SELECTs pass a point."""

    def look(_: Any, statement: str, *__: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            passes(Point.READ)

    event.listen(engine, "do_execute", look)
    return engine


def _sqlite_error(harm: Harm) -> Exception:
    texts = {
        Harm.IO: "disk I/O error",
        Harm.FULL: "database or disk is full",
        Harm.LOCKED: "database is locked",
    }
    return sqlite3.OperationalError(texts[harm])


def _postgres_error(harm: Harm) -> Exception:
    from psycopg import errors

    kinds = {Harm.IO: errors.IoError, Harm.FULL: errors.DiskFull, Harm.LOCKED: errors.LockNotAvailable}
    return kinds[harm](f"{harm}, by ROWEL_FAULTS")
