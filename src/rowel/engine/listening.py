"""What one listener hears of a run: every event once and in order, at a price that hundreds beside it share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from rowel.core.records import Event
from rowel.core.status import EventKind, RunStatus
from rowel.engine.house import House
from rowel.engine.reads import missing
from rowel.engine.wakeups import Group, Subscription
from rowel.store import events, runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: What the store has behind an event, and whether the run has ended by then.
Found = tuple[Group, bool]


class Listening:
    """One listener: go through its `groups` once, and `end` it from wherever."""

    def __init__(self, house: House, run_id: str, after: int = 0, silence_s: float | None = None) -> None:
        """It hears the events numbered higher than `after`, and an empty group whenever nothing happened for
        `silence_s` seconds."""
        self._house = house
        self._run_id = run_id
        self._after = after
        self._silence_s = silence_s
        self._subscription: Subscription | None = None
        self._is_over = False

    def end(self) -> None:
        """Have it hear nothing more."""
        self._is_over = True
        if self._subscription is not None:
            self._subscription.end()

    async def groups(self) -> AsyncGenerator[Group, None]:
        """The missed events first, then live ones, until the run has ended. Raises `NotFound` and `Unavailable`."""
        self._subscription = subscription = self._house.wakeups.subscribe(self._run_id)
        try:
            async for group in self._stored():
                yield group
            while not self._is_over:
                if await subscription.wait(self._silence_s):
                    async for group in self._arrived([group for _, group in subscription.take()]):
                        yield group
                elif not self._is_over:
                    yield ()
        finally:
            self._house.wakeups.unsubscribe(self._run_id, subscription)

    async def _arrived(self, told: list[Group]) -> AsyncIterator[Group]:
        """What was told, if it follows on what was heard; else what the store has."""
        new = [self._unheard(group) for group in told if not group or group[-1].number > self._after]
        number = self._after
        for group in new:
            if not group or group[0].number != number + 1:
                async for stored in self._stored():
                    yield stored
                return
            number = group[-1].number
        self._after = number
        for group in new:
            yield group
        self._is_over |= bool(new) and any(map(self._ends, new[-1]))

    def _unheard(self, group: Group) -> Group:
        if not group or group[0].number > self._after:
            return group
        return [event for event in group if event.number > self._after]

    def _ends(self, event: Event) -> bool:
        return event.kind == EventKind.RUN and RunStatus(event.body["status"]).is_final

    async def _stored(self) -> AsyncIterator[Group]:
        """All that the store has and was not heard yet."""
        group, has_ended = await self._look()
        while group:
            self._after = group[-1].number
            yield group
            group, has_ended = await self._look()
        self._is_over |= has_ended

    async def _look(self) -> Found:
        """What the store has next. Who asks the same at the same time is answered by one read."""
        after = self._after

        def query(connection: Connection) -> Found:
            run = runs.get(connection, self._run_id)
            if run is None:
                raise missing(self._run_id)
            return events.after(connection, self._run_id, after), run.status.is_final

        return await self._house.wakeups.share(
            (self._run_id, after), lambda: self._house.database.read(query)
        )
