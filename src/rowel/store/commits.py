"""Transactions on the writer's own connection: what lands, whose data was bad, whether the store takes writes at all.

One group's bad data never takes others with it, and a commit whose outcome is unknown is looked up before anything
else is written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from sqlalchemy import bindparam

from rowel.core.errors import Unavailable
from rowel.store.dialect import Connection, Dialect, Result
from rowel.store.news import Job
from rowel.store.statements import Statement, Step, compile_statement
from rowel.store.tables import writers

log = logging.getLogger(__name__)

#: How often a deadlocked commit is replayed at once.
REPLAYS = 5


@dataclass(eq=False)
class Group:
    """Steps that belong together, and whom they concern."""

    steps: Sequence[Step]
    about: Sequence[str] = ()
    jobs: Sequence[Job] = ()


#: What became of a group: each step's result, or the error that its own values caused.
Answer = list[Result] | Exception


@dataclass(frozen=True)
class Unknown:
    """A commit that may or may not have landed, and what its groups are told if it did."""

    n: int
    answers: Mapping[Group, Answer]


class Refused(Exception):
    """The store took nothing, or nobody can tell. The cause says why."""


class Commits:
    """Commits groups, many at a time. For one thread."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.id = token_hex(8)
        self._n = 0
        self._connection: Connection | None = None
        self._unknown: Unknown | None = None
        self._mark = _mark(dialect)
        self._claim = _claim(dialect)
        #: Why the last commit failed; None while writing works.
        self.trouble: str | None = None

    def commit(self, groups: Sequence[Group]) -> dict[Group, Answer]:
        """Write the groups. Those without an answer were not written, or nobody can tell: `trouble` says why.

        Without groups it finds out whether the store takes writes.
        """
        answers: dict[Group, Answer] = {}
        try:
            self._settle_unknown(answers)
            self._write([group for group in groups if group not in answers], answers)
        except Refused as refusal:
            self._note_trouble(refusal.__cause__ or refusal)
        return answers

    def refusal(self, group: Group) -> Unavailable:
        """What the writer of an unanswered group is told."""
        if self._unknown is not None and group in self._unknown.answers:
            return Unavailable(
                "The store was lost while it was written to; whether this was kept is not known. "
                "Look before you try again."
            )
        return Unavailable("The store can't be written at the moment; nothing was changed. Try again later.")

    def close(self) -> None:
        self._drop()

    def _write(self, groups: Sequence[Group], answers: dict[Group, Answer]) -> None:
        try:
            results = self._replay(groups)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer of the group that caused it
            self._divide(groups, error, answers)
        else:
            self._note_recovery()
            answers.update(zip(groups, results, strict=True))

    def _divide(self, groups: Sequence[Group], error: Exception, answers: dict[Group, Answer]) -> None:
        """Find the group that caused the error by halves; the others are written."""
        if len(groups) > 1:
            middle = len(groups) // 2
            self._write(groups[:middle], answers)
            self._write(groups[middle:], answers)
        elif not groups or self._dialect.is_worth_replaying(error):
            raise Refused from error
        else:
            answers[groups[0]] = error

    def _replay(self, groups: Sequence[Group]) -> list[list[Result]]:
        for _ in range(REPLAYS - 1):
            try:
                return self._transact(groups)
            except Exception as error:
                if not self._dialect.is_worth_replaying(error):
                    raise
        return self._transact(groups)

    def _transact(self, groups: Sequence[Group]) -> list[list[Result]]:
        connection = self._begin()
        self._n += 1
        mark = [self._mark.bind({"id": self.id, "n": self._n})]
        news = self._dialect.announcement(self.id, [run_id for group in groups for run_id in group.about])
        try:
            *results, _ = connection.run([*(group.steps for group in groups), [*news, *mark]])
            if jobs := [
                job for group, result in zip(groups, results, strict=True) for job in _jobs(group, result)
            ]:
                connection.enqueue(jobs)
        except Exception as error:
            self._roll_back(connection, error)
            raise
        self._finish(connection, Unknown(self._n, dict(zip(groups, results, strict=True))))
        return results

    def _finish(self, connection: Connection, commit: Unknown) -> None:
        try:
            connection.commit()
        except Exception as error:
            self._drop()
            self._unknown = commit
            if self._has_landed(commit):
                return
            if self._dialect.is_worth_replaying(error):
                raise
            raise Refused from error

    def _begin(self) -> Connection:
        """Begin a transaction; a connection that died while it was idle is replaced at once."""
        if self._connection is not None:
            try:
                self._connection.begin()
            except Exception as error:  # noqa: BLE001  # the new connection says whether it matters
                log.info("the writer's connection is replaced: %s", error)
                self._drop()
            else:
                return self._connection
        try:
            connection = self._connect()
            connection.begin()
        except Exception as error:
            self._drop()
            raise Refused from error
        return connection

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._dialect.connect()
        return self._connection

    def _roll_back(self, connection: Connection, error: Exception) -> None:
        """Undo what an error left behind. Raises `Refused` where it was the store's."""
        is_data = self._dialect.is_about_data(error) or not self._dialect.is_database_error(error)
        if not is_data and not self._dialect.is_worth_replaying(error):
            self._drop()
            raise Refused from error
        try:
            connection.rollback()
        except Exception as problem:  # noqa: BLE001  # then the next commit has a new connection
            log.info("the writer's connection is replaced: %s", problem)
            self._drop()

    def _settle_unknown(self, answers: dict[Group, Answer]) -> None:
        unknown = self._unknown
        if unknown is not None and self._has_landed(unknown):
            answers.update(unknown.answers)

    def _has_landed(self, unknown: Unknown) -> bool:
        """Whether the commit is in the store after all. Raises `Refused` while nobody can tell.

        The question is a write: on Postgres it waits until the lost connection's transaction has ended either way.
        """
        try:
            row = self._connect().run([[self._claim.bind({"id": self.id})]])[0][0]
        except Exception as error:
            self._drop()
            raise Refused from error
        self._unknown = None
        return isinstance(row, tuple) and row[0] >= unknown.n

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except Exception as error:  # noqa: BLE001  # nothing more can be done for it
            log.debug("closing a broken connection: %s", error)

    def _note_trouble(self, error: BaseException) -> None:
        reason = reason_of(error)
        if self.trouble is None:
            log.error("the store refuses writes: %s", reason)
        self.trouble = reason

    def _note_recovery(self) -> None:
        if self.trouble is not None:
            log.warning("the store takes writes again")
        self.trouble = None


def reason_of(error: BaseException) -> str:
    """The first line of what a driver says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _jobs(group: Group, results: Sequence[Result]) -> Sequence[Job]:
    """The jobs of a group, if its first step found what it was for."""
    return group.jobs if results and results[0] not in (None, 0) else ()


def _values() -> dict[str, Any]:
    return {"id": bindparam("id", ""), "n": bindparam("n", 0)}


def _mark(dialect: Dialect) -> Statement:
    """Each commit leaves its number."""
    mark = dialect.insert(writers).values(_values())
    return compile_statement(
        mark.on_conflict_do_update(index_elements=["id"], set_={"n": mark.excluded.n}), dialect.sql
    )


def _claim(dialect: Dialect) -> Statement:
    """Read the number of the newest commit, and lock it."""
    claim = dialect.insert(writers).values(_values())
    claim = claim.on_conflict_do_update(index_elements=["id"], set_={"n": writers.c.n})
    return compile_statement(claim.returning(writers.c.n), dialect.sql)
