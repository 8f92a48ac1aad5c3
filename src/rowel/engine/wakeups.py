"""Tells whoever waits that something about a run is now in the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, TypeVar

from rowel.core.records import Event

T = TypeVar("T")

#: Events a slow listener may fall behind before it must read them from the store.
BACKLOG = 1000

#: Of more listeners to one run than this each adds so many seconds to the time in which what happens is gathered, so
#: that telling them costs a bounded part of a process's time, however often something happens.
FEW = 20
GATHERED_S = 0.0002

#: Events that were committed together, or shortly after one another.
Group = Sequence[Event]


class Subscription:
    """One listener of a run, or of all runs."""

    def __init__(self) -> None:
        self._groups: deque[tuple[str, Group]] = deque()
        self._count = 0
        self._waiter: asyncio.Future[bool] | None = None
        #: Whether events were lost because the listener was slow.
        self.has_gap = False
        #: Whether nothing more is to be heard.
        self.is_over = False

    def put(self, run_id: str, events: Group) -> None:
        self._groups.append((run_id, events))
        self._count += len(events)
        while self._count > BACKLOG and len(self._groups) > 1:
            self._count -= len(self._groups.popleft()[1])
            self.has_gap = True
        self._wake(True)

    def take(self) -> list[tuple[str, Group]]:
        """Everything that has arrived; `has_gap` is told once."""
        found = list(self._groups)
        self._groups.clear()
        self._count = 0
        return found

    async def wait(self, silence_s: float | None = None) -> bool:
        """Wait until something has arrived; False after `silence_s` seconds without, or when it is over."""
        if self._groups or self.is_over:
            return bool(self._groups)
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if silence_s is None else loop.call_later(silence_s, self._wake, False)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def end(self) -> None:
        """Have nothing more heard."""
        self.is_over = True
        self._wake(False)

    def _wake(self, has_news: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(has_news)


class Circle:
    """The listeners of one run, who are told the same."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self.listeners: set[Subscription] = set()
        self._gathered: list[Event] = []
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, events: Group) -> None:
        """Tell all of them: at once if they are few, else with what else happens in a moment."""
        self._gathered += events
        if len(self.listeners) <= FEW:
            self._tell()
        elif self._timer is None:
            wait_s = len(self.listeners) * GATHERED_S
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tell)

    def _tell(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._gathered = tuple(self._gathered), []
        for listener in self.listeners:
            listener.put(self._run_id, group)


class Wakeups:
    """Listeners of this process."""

    def __init__(self) -> None:
        self._of_run: dict[str, Circle] = {}
        self._of_all: set[Subscription] = set()
        #: How often something was told. A look at the store that began before shows nothing of it.
        self._turn = 0
        self._looks: dict[tuple[int, Hashable], asyncio.Task[Any]] = {}

    def publish(self, run_id: str, events: Group) -> None:
        """Hand on committed events."""
        self.publish_to_run(run_id, events)
        self.publish_to_all(run_id, events)

    def publish_to_run(self, run_id: str, events: Group) -> None:
        """Hand on a run's events to those who listen to it; without events they read them from the store."""
        self._turn += 1
        circle = self._of_run.get(run_id)
        if circle is not None:
            circle.tell(events)

    def publish_to_all(self, run_id: str, events: Group) -> None:
        """Hand on a run's events to those who listen to all runs."""
        for subscription in self._of_all:
            subscription.put(run_id, events)

    @property
    def listeners(self) -> int:
        """How many listen, to one run or to all."""
        return len(self._of_all) + sum(len(circle.listeners) for circle in self._of_run.values())

    @property
    def has_general(self) -> bool:
        """Whether anybody listens to all runs."""
        return bool(self._of_all)

    def wake_all(self) -> None:
        """Let whoever listens to one run look at the store: something may have been missed."""
        for run_id in list(self._of_run):
            self.publish_to_run(run_id, [])

    def subscribe(self, run_id: str | None) -> Subscription:
        """Listen to one run, or to all (None)."""
        subscription = Subscription()
        if run_id is None:
            self._of_all.add(subscription)
        else:
            self._of_run.setdefault(run_id, Circle(run_id)).listeners.add(subscription)
        return subscription

    def unsubscribe(self, run_id: str | None, subscription: Subscription) -> None:
        if run_id is None:
            self._of_all.discard(subscription)
            return
        circle = self._of_run.get(run_id)
        if circle is None:
            return
        circle.listeners.discard(subscription)
        if not circle.listeners:
            del self._of_run[run_id]

    async def share(self, question: Hashable, look: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of `look`, of which one does for all who ask the same, as long as nothing new is told."""
        key = (self._turn, question)
        task = self._looks.get(key)
        if task is None:
            task = self._looks[key] = asyncio.ensure_future(look())
            task.add_done_callback(lambda done: self._forget(key, done))
        found: T = await asyncio.shield(task)
        return found

    def _forget(self, key: tuple[int, Hashable], done: asyncio.Task[Any]) -> None:
        del self._looks[key]
        if not done.cancelled():
            done.exception()  # whoever still waits for it is told
