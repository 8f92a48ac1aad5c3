"""One writer per process: what everyone wants written goes into one transaction, and each hears whether its own landed.

Groups that arrive while a commit is under way are written by the next one (group commit). Those of batch rows stand
behind all others, and no commit takes many of them: whoever waits for an answer does not wait for a batch.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from secrets import randbits

from rowel.core.errors import Unavailable
from rowel.store.commits import Answer, Commits, Group
from rowel.store.dialect import Dialect, Result
from rowel.store.news import Job
from rowel.store.statements import Step

#: Seconds between tries while the store refuses writes.
RETRY_DELAYS_S = (0.05, 0.2, 0.5, 1.0, 2.0)
#: Seconds that a writer who can be refused waits at most, though the store hangs.
ANSWER_WITHIN_S = 15.0
#: How many groups that stand behind others one commit takes, how many where others have been written so many seconds
#: before, and how many beside others.
MOST_BEHIND = 64
SOME_BEHIND = 8
FEW_BEHIND = 2
RECENT_S = 1.0
#: Seconds that closing waits for what is being written.
CLOSE_WITHIN_S = 3.0


@dataclass(eq=False, kw_only=True)
class Write(Group):
    """A group somebody waits for. A `persistent` one is tried until the store is back; others fail at once."""

    order: str
    persistent: bool
    behind: bool
    future: asyncio.Future[list[Result]] = field(repr=False)


class Writer:
    """Collects groups on the event loop and commits them in a thread of its own."""

    def __init__(self, dialect: Dialect, retry_delays_s: Sequence[float] = RETRY_DELAYS_S) -> None:
        self._dialect = dialect
        self._retry_delays_s = retry_delays_s
        self._commits = Commits(dialect)
        self._stamp = randbits(61)
        self._collecting: list[Write] = []
        self._queued: list[Write] = []
        self._wake = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._failures = 0
        #: When somebody last wrote who stands behind nobody.
        self._urgent_at = 0.0
        #: Hears of each transaction, in the writer's thread: seconds, and groups.
        self.heard: Callable[[float, int], None] | None = None

    @property
    def id(self) -> str:
        """The name under which this process's commits are announced."""
        return self._commits.id

    @property
    def trouble(self) -> str | None:
        """Why the last commit failed; None while writing works. Cleared by itself once the store is back."""
        return self._commits.trouble

    def next_stamp(self) -> int:
        """A number that no other group carries."""
        self._stamp += 1
        return self._stamp

    async def write(
        self,
        steps: Sequence[Step],
        *,
        order: str = "",
        persistent: bool = False,
        behind: bool = False,
        about: Sequence[str] = (),
        jobs: Sequence[Job] = (),
    ) -> list[Result]:
        """Commit `steps` together and return each one's result; with `behind`, once those of others are written.

        Where other processes work on the database, they hear that the runs `about` changed, and get the `jobs` if the
        group landed.

        Raises `Unavailable` where the store refuses writes or does not answer (never when `persistent`: then it waits
        until the store is back) or was closed, and the driver's error where the values themselves can't be stored.
        Whoever is canceled while waiting doesn't take the write back.
        """
        if self._is_closing:
            raise Unavailable("The store is closed; nothing was changed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Result]] = loop.create_future()
        write = Write(steps, about, jobs, order=order, persistent=persistent, behind=behind, future=future)
        if not behind:
            self._urgent_at = time.monotonic()
        if not self._collecting:
            loop.call_soon(self._hand_over)
        self._collecting.append(write)
        return await (future if persistent else self._answer(write))

    async def _answer(self, write: Write) -> list[Result]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await write.future
        except TimeoutError:
            raise self._withdraw(write) from None

    def _withdraw(self, write: Write) -> Unavailable:
        """Take back what the thread has not begun to write, and say whether that was possible."""
        with self._wake:
            if write in self._queued:
                self._queued.remove(write)
                return self._commits.refusal(write)
        return Unavailable(
            "The store does not answer; whether this was kept is not known. Look before you try again."
        )

    def _hand_over(self) -> None:
        """Give the thread everything that this turn of the event loop collected."""
        writes, self._collecting = self._collecting, []
        if not writes:
            return
        with self._wake:
            self._queued.extend(writes)
            self._wake.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="rowel-writer", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Write what is queued and end the thread. Persistent groups that can't be written are given up, and where the
        store hangs all of them are."""
        self._hand_over()
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_WITHIN_S)

    def _work(self) -> None:
        while (writes := self._take()) is not None:
            begun = time.perf_counter()
            answers = self._commits.commit(writes)
            if self.heard is not None and answers:
                self.heard(time.perf_counter() - begun, len(answers))
            self._failures = 0 if self.trouble is None else self._failures + 1
            self._deliver(writes, answers)
        self._commits.close()

    def _take(self) -> list[Write] | None:
        """What is to be written next; None at the end. In trouble, after a pause, nothing at all may be next."""
        with self._wake:
            if self._failures:
                place = min(self._failures, len(self._retry_delays_s)) - 1
                self._wake.wait_for(lambda: self._is_closing, self._retry_delays_s[place])
            else:
                self._wake.wait_for(lambda: self._queued or self._is_closing)
            writes = self._next_writes()
            if self._is_closing and not writes:
                return None
        if self._dialect.orders_groups:
            writes.sort(key=lambda write: write.order)
        return writes

    def _next_writes(self) -> list[Write]:
        if self._failures or self._is_closing:
            # What became of the last commit may not be known yet: all that were in it are asked about together.
            writes, self._queued = self._queued, []
            return writes
        writes = [write for write in self._queued if not write.behind]
        behind = [write for write in self._queued if write.behind]
        is_recent = time.monotonic() - self._urgent_at < RECENT_S
        most = FEW_BEHIND if writes else SOME_BEHIND if is_recent else MOST_BEHIND
        self._queued = behind[most:]
        return [*writes, *behind[:most]]

    def _deliver(self, writes: Sequence[Write], answers: Mapping[Group, Answer]) -> None:
        """Tell everyone what became of their group; who is persistent stays in the queue."""
        told: list[tuple[Write, Answer]] = []
        kept: list[Write] = []
        for write in writes:
            if write in answers:
                told.append((write, answers[write]))
            elif write.persistent and not self._is_closing:
                kept.append(write)
            else:
                told.append((write, self._commits.refusal(write)))
        with self._wake:
            self._queued[:0] = kept
        if told:
            # Where the loop is closed nobody waits any more.
            with suppress(RuntimeError):
                told[0][0].future.get_loop().call_soon_threadsafe(partial(_resolve, told))


def _resolve(told: Sequence[tuple[Write, Answer]]) -> None:
    for write, answer in told:
        if write.future.done():
            continue
        if isinstance(answer, Exception):
            write.future.set_exception(answer)
        else:
            write.future.set_result(answer)
