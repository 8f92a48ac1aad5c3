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
        """Return when `moment` has come, or as much time has passed as was left until then: a clock that is set back
        meanwhile keeps nobody waiting."""


#: Seconds between looks at the clock during a long wait, so that one that is set forward is noticed.
LOOK_EACH_S = 5.0


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # the one place that asks the machine

    async def sleep_until(self, moment: datetime) -> None:
        time = asyncio.get_running_loop().time
        end = time() + (moment - self.now()).total_seconds()
        while (left := min(end - time(), (moment - self.now()).total_seconds())) > 0:  # noqa: ASYNC110  # it is the clock that is waited for
            await asyncio.sleep(min(left, LOOK_EACH_S))
