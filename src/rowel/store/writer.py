"""One writer per process: what everyone wants written goes into one transaction, and each hears whether its own landed.

Groups that arrive while a commit is under way are written by the next one (group commit). A group is a list of steps
that belong together; a commit holds many groups of many runs. One group's bad data never takes others with it, and a
commit whose outcome is unknown is looked up before it is repeated.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import randbits, token_hex
from typing import Any

from sqlalchemy import bindparam

from rowel.core.errors import Unavailable
from rowel.store.dialect import Connection, Dialect, Result
from rowel.store.statements import Step, compile_statement
from rowel.store.tables import writers

log = logging.getLogger(__name__)

#: Seconds between tries while the store refuses writes.
RETRY_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0)
#: How often a deadlocked commit is replayed before its groups are written one by one.
REPLAYS = 5


@dataclass(eq=False)
class Group:
    """Steps that belong together. A `persistent` one is tried until the store is back; others fail at once."""

    steps: Sequence[Step]
    order: str
    persistent: bool
    future: asyncio.Future[list[Result]] = field(repr=False)


class OutcomeUnknown(Exception):
    """The connection was lost while COMMIT was on its way."""


class Writer:
    """Collects groups on the event loop and commits them in a thread of its own."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._id = token_hex(8)
        self._n = 0
        self._stamp = randbits(61)
        self._collecting: list[Group] = []
        self._queued: list[Group] = []
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tries = 0
        #: A commit that may or may not have landed, and what its groups would be told.
        self._unknown: tuple[int, dict[int, list[Result]]] | None = None
        mark = dialect.insert(writers).values(id=bindparam("id", ""), n=bindparam("n", 0))
        self._mark = compile_statement(
            mark.on_conflict_do_update(index_elements=["id"], set_={"n": mark.excluded.n}), dialect.sql
        )
        self._read_mark = compile_statement(
            writers.select().with_only_columns(writers.c.n).where(writers.c.id == self._id), dialect.sql
        )
        #: Why the last commit failed; None while writing works.
        self.trouble: str | None = None

    def next_stamp(self) -> int:
        """A number that no other group carries."""
        self._stamp += 1
        return self._stamp

    async def write(
        self, steps: Sequence[Step], *, order: str = "", persistent: bool = False
    ) -> list[Result]:
        """Commit `steps` together and return each one's result.

        Raises `Unavailable` where the store refuses writes (never when `persistent`: then it waits until the store is
        back), and the driver's error where the values themselves can't be stored.
        """
        loop = asyncio.get_running_loop()
        group = Group(steps, order, persistent, loop.create_future())
        if not self._collecting:
            self._loop = loop
            loop.call_soon(self._hand_over)
        self._collecting.append(group)
        return await group.future

    def _hand_over(self) -> None:
        """Give the thread everything that this turn of the event loop collected."""
        groups, self._collecting = self._collecting, []
        with self._wake:
            self._queued.extend(groups)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="rowel-writer", daemon=True)
                self._thread.start()
            self._wake.notify()

    async def close(self) -> None:
        """Write what is queued and end the thread. Persistent groups that can't be written are given up."""
        if self._collecting:
            self._hand_over()
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while groups := self._take():
            self._deliver(self._commit(groups))
            if self.trouble and not self._is_closing:
                self._rest()
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> list[Group]:
        with self._wake:
            while not self._queued and not self._is_closing:
                self._wake.wait()
            groups, self._queued = self._queued, []
        if self._dialect.orders_groups:
            groups.sort(key=lambda group: group.order)
        return groups

    def _rest(self) -> None:
        delay = RETRY_DELAYS_S[min(self._tries, len(RETRY_DELAYS_S)) - 1]
        with self._wake:
            if not self._is_closing:
                self._wake.wait(delay)

    def _commit(self, groups: list[Group]) -> list[tuple[Group, Any]]:
        """Write all groups; return each with its results or its error."""
        try:
            answered = self._look_up(groups)
        except Exception as problem:
            return self._put_off(groups, problem)
        landed = {id(group) for group, _ in answered}
        return answered + self._write([group for group in groups if id(group) not in landed])

    def _look_up(self, groups: list[Group]) -> list[tuple[Group, Any]]:
        """Those of `groups` that the commit of unknown outcome wrote after all."""
        if self._unknown is None:
            return []
        n, results = self._unknown
        landed = self._landed(n)
        self._unknown = None
        if not landed:
            return []
        self._n = n
        return [(group, results[id(group)]) for group in groups if id(group) in results]

    def _write(self, groups: list[Group]) -> list[tuple[Group, Any]]:
        if not groups:
            return []
        error: Exception | None = None
        for _ in range(REPLAYS):
            try:
                results = self._transact(groups)
            except Exception as problem:
                error = problem
                if self._dialect.is_worth_replaying(problem):
                    continue
                break
            self._recovered()
            return list(zip(groups, results, strict=True))
        assert error is not None
        if self._is_one_groups_fault(error):
            return self._isolate(groups, error)
        return self._put_off(groups, error)

    def _is_one_groups_fault(self, error: Exception) -> bool:
        return (
            self._dialect.is_about_data(error)
            or self._dialect.is_worth_replaying(error)
            or not self._dialect.is_database_error(error)
        ) and not isinstance(error, OutcomeUnknown)

    def _isolate(self, groups: list[Group], error: Exception) -> list[tuple[Group, Any]]:
        if len(groups) == 1:
            return [(groups[0], error)]
        return [answer for group in groups for answer in self._commit([group])]

    def _put_off(self, groups: list[Group], error: Exception) -> list[tuple[Group, Any]]:
        """The store is in trouble: persistent groups go back into the queue, the others fail now."""
        if self.trouble is None:
            log.error("the store refuses writes: %s", error)
        self.trouble = str(error)
        self._tries += 1
        kept = [group for group in groups if group.persistent and not self._is_closing]
        with self._wake:
            self._queued[:0] = kept
        refusal = Unavailable(
            "The store can't be written at the moment; nothing was changed. Try again later."
        )
        return [(group, refusal) for group in groups if group not in kept]

    def _recovered(self) -> None:
        if self.trouble is not None:
            log.warning("the store takes writes again")
        self.trouble = None
        self._tries = 0

    def _transact(self, groups: list[Group]) -> list[list[Result]]:
        connection = self._connected()
        n = self._n + 1
        mark = [self._mark.bind({"id": self._id, "n": n})]
        try:
            connection.begin()
            *results, _ = connection.run([*(group.steps for group in groups), mark])
        except Exception:
            self._abandon(connection)
            raise
        try:
            connection.commit()
        except Exception as error:
            self._abandon(connection)
            self._unknown = n, {id(group): result for group, result in zip(groups, results, strict=True)}
            if not self._landed(n):
                self._unknown = None
                raise error
            self._unknown = None
        self._n = n
        return results

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._dialect.connect()
        return self._connection

    def _abandon(self, connection: Connection) -> None:
        """Roll back; where even that fails, the connection is no good any more."""
        try:
            connection.rollback()
        except Exception:
            self._connection = None
            try:
                connection.close()
            except Exception as error:
                log.debug("closing a broken connection: %s", error)

    def _landed(self, n: int) -> bool:
        """Whether commit `n` is in the database after all. Raises `OutcomeUnknown` while nobody can tell."""
        try:
            connection = self._connected()
            row = connection.run([[self._read_mark.bind({})]])[0][0]
        except Exception as error:
            self._connection = None
            raise OutcomeUnknown(str(error)) from error
        return isinstance(row, tuple) and row[0] >= n

    def _deliver(self, answers: list[tuple[Group, Any]]) -> None:
        if answers and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(partial(_resolve, answers))


def _resolve(answers: list[tuple[Group, Any]]) -> None:
    for group, answer in answers:
        if group.future.done():
            continue
        if isinstance(answer, Exception):
            group.future.set_exception(answer)
        else:
            group.future.set_result(answer)
