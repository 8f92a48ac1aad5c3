"""A node's time, which stands still while calls of it wait for their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rowel.nodes.context import Context

#: Seconds that a node waits for its turn before that is told.
TELL_AFTER_S = 1.0


class Standstill:
    """A node's time stands still while calls of it wait for their turn."""

    def __init__(self, context: Context, limit: asyncio.Timeout, tell: Callable[[str], None]) -> None:
        """`tell` hears what is waited for, once, if that takes more than a second."""
        self._context = context
        self._limit = limit
        self._tell = tell
        self._is_told = False
        self._calls = 0
        self._began_at = 0.0
        self._left_s: float | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._why = ""

    def begin(self, why: str) -> None:
        """One more call waits."""
        self._calls += 1
        if self._calls > 1:
            return
        loop, end = asyncio.get_running_loop(), self._limit.when()
        self._began_at, self._why = loop.time(), why
        self._left_s = None if end is None else end - self._began_at
        self._limit.reschedule(None)
        if not self._is_told:
            self._telling = loop.call_later(TELL_AFTER_S, self._say)

    def end(self) -> None:
        """One of those that waited goes on, or is given up."""
        self._calls -= 1
        if self._calls:
            return
        self.be_silent()
        now = asyncio.get_running_loop().time()
        if self._left_s is not None:
            self._limit.reschedule(now + self._left_s)
        if now - self._began_at >= TELL_AFTER_S:
            self._context.log(f"Waited {now - self._began_at:.1f} s for {self._why}.")

    def be_silent(self) -> None:
        if self._telling is not None:
            self._telling.cancel()

    def _say(self) -> None:
        self._is_told = True
        self._tell(f"Waits for {self._why}.")
