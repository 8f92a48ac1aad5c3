"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class FakeClock:
    """Begins at noon. Who sleeps wakes when `advance` has reached the moment."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._moved = asyncio.Condition()
        #: The moments that somebody waits for.
        self.awaited: list[datetime] = []

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        async with self._moved:
            self.awaited.append(moment)
            self._moved.notify_all()
            try:
                await self._moved.wait_for(lambda: self._now >= moment)
            finally:
                self.awaited.remove(moment)

    async def advance(self, seconds: float) -> None:
        """Move on, and wake those whose moment has come."""
        async with self._moved:
            self._now += timedelta(seconds=seconds)
            self._moved.notify_all()

    async def sleeper(self) -> datetime:
        """Wait until somebody sleeps; return the earliest moment that is waited for."""
        async with asyncio.timeout(20), self._moved:
            await self._moved.wait_for(lambda: bool(self.awaited))
            return min(self.awaited)


class FakeWatch:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._sleepers: dict[asyncio.Future[None], float] = {}

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[future] = self._now + seconds
        try:
            await future
        finally:
            del self._sleepers[future]

    async def advance(self, seconds: float) -> None:
        """Let so much time pass: who sleeps wakes at the right moment, and does what follows from it."""
        end = self._now + seconds
        await settled()
        while due := [time for time in self._sleepers.values() if time <= end]:
            self._now = max(self._now, min(due))
            for future, time in self._sleepers.items():
                if time <= self._now and not future.done():
                    future.set_result(None)
            await settled()
        self._now = end


async def settled() -> None:
    """Let everything happen that waits for nothing but its turn of the event loop."""
    for _ in range(20):
        await asyncio.sleep(0)
