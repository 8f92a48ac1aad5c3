"""A database that fails where a test wants it to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowel.store.dialect import Connection, Result
from rowel.store.statements import Step


class Fault(Exception):
    """What the driver would raise when the disk is full or the connection is gone."""


class FaultyDialect:
    """Another dialect whose connections fail at given moments.

    A plan names moments in order (`connect`, `begin`, `run`, `mid run`, `commit`, `after commit`, `hanging commit`,
    `look`); each one that is next in the plan fails once. `mid run` runs all groups but the last; `after commit` loses
    the answer of a commit that landed; `hanging commit` loses the connection while the server still has the
    transaction: it is then among `hanging`, to be committed or closed by the test.
    """

    def __init__(self, inner: Any, *plan: str) -> None:
        self._inner = inner
        self.plan = list(plan)
        self.begun = 0
        self.commits = 0
        #: The groups of each transaction.
        self.ran: list[Sequence[Sequence[Step]]] = []
        self.hanging: list[Connection] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def is_database_error(self, error: Exception) -> bool:
        return isinstance(error, Fault) or bool(self._inner.is_database_error(error))

    def connect(self) -> Connection:
        self.reach("connect")
        return FaultyConnection(self, self._inner.connect())

    def is_next(self, moment: str) -> bool:
        return self.plan[:1] == [moment]

    def reach(self, moment: str) -> None:
        if self.is_next(moment):
            self.plan.pop(0)
            raise Fault(moment)


class FaultyConnection:
    """One connection of a `FaultyDialect`."""

    def __init__(self, dialect: FaultyDialect, inner: Connection) -> None:
        self._dialect = dialect
        self._inner = inner
        self._is_lost = False

    def begin(self) -> None:
        self._dialect.reach("begin")
        self._dialect.begun += 1
        self._inner.begin()

    def run(self, groups: Sequence[Sequence[Step]]) -> list[list[Result]]:
        is_look = len(groups) == 1 and len(groups[0]) == 1 and "RETURNING" in groups[0][0][0].upper()
        self._dialect.reach("look" if is_look else "run")
        if self._dialect.is_next("mid run"):
            self._inner.run(groups[:-1])
        self._dialect.reach("mid run")
        if not is_look:
            self._dialect.ran.append(groups)
        return self._inner.run(groups)

    def commit(self) -> None:
        self._dialect.reach("commit")
        if self._dialect.is_next("hanging commit"):
            self._dialect.hanging.append(self._inner)
            self._is_lost = True
        self._dialect.reach("hanging commit")
        self._inner.commit()
        self._dialect.commits += 1
        self._dialect.reach("after commit")

    def rollback(self) -> None:
        self._inner.rollback()

    def close(self) -> None:
        if not self._is_lost:
            self._inner.close()
