"""Where time comes from. Everything else is handed a Clock or a moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""

    async def sleep_until(self, moment: datetime) -> None:
        """Return when `moment` has come."""


class SystemClock:
    """The machine's clock. A long wait looks at it again each minute, so that a clock that jumps is noticed."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # the one place that asks the machine

    async def sleep_until(self, moment: datetime) -> None:
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110  # it is the clock that is waited for
            await asyncio.sleep(min(left, 60.0))
