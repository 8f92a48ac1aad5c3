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
