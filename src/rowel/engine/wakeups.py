"""Tells whoever waits that something about a run is now in the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from rowel.core.records import Event

#: Events a slow listener may fall behind before it must read them from the store.
BACKLOG = 1000


class Subscription:
    """One listener of a run, or of all runs."""

    def __init__(self) -> None:
        self._events: deque[tuple[str, Event]] = deque(maxlen=BACKLOG)
        self._news = asyncio.Event()
        #: Whether events were lost because the listener was slow.
        self.has_gap = False

    def put(self, run_id: str, events: Sequence[Event]) -> None:
        self.has_gap |= len(self._events) + len(events) > BACKLOG
        self._events.extend((run_id, event) for event in events)
        self._news.set()

    def take(self) -> list[tuple[str, Event]]:
        """Everything that has arrived; `has_gap` is told once."""
        found = list(self._events)
        self._events.clear()
        self._news.clear()
        return found

    async def wait(self) -> None:
        await self._news.wait()


class Wakeups:
    """Listeners of this process."""

    def __init__(self) -> None:
        self._of_run: dict[str, set[Subscription]] = {}
        self._of_all: set[Subscription] = set()

    def publish(self, run_id: str, events: Sequence[Event]) -> None:
        """Hand on committed events."""
        self.publish_to_run(run_id, events)
        self.publish_to_all(run_id, events)

    def publish_to_run(self, run_id: str, events: Sequence[Event]) -> None:
        """Hand on a run's events to those who listen to it; without events they read them from the store."""
        for subscription in self._of_run.get(run_id, ()):
            subscription.put(run_id, events)

    def publish_to_all(self, run_id: str, events: Sequence[Event]) -> None:
        """Hand on a run's events to those who listen to all runs."""
        for subscription in self._of_all:
            subscription.put(run_id, events)

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
            self._of_run.setdefault(run_id, set()).add(subscription)
        return subscription

    def unsubscribe(self, run_id: str | None, subscription: Subscription) -> None:
        if run_id is None:
            self._of_all.discard(subscription)
            return
        listeners = self._of_run.get(run_id, set())
        listeners.discard(subscription)
        if not listeners:
            self._of_run.pop(run_id, None)
