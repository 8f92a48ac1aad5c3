"""Looks at the rows that wait for a moment, and takes up runs that nobody moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rowel.engine.decisions import Decisions
from rowel.engine.house import House
from rowel.store import pauses, runs

log = logging.getLogger(__name__)

#: Seconds between looks at pauses that run out, and at runs that have work.
PAUSES_EACH_S = 1.0
RUNS_EACH_S = 10.0


class Timers:
    """Two slow loops beside the runs."""

    def __init__(self, house: House, decisions: Decisions, *, moves_runs: bool = True) -> None:
        """`moves_runs`: runs move in this process, so that forgotten ones are taken up here."""
        self._house = house
        self._decisions = decisions
        self._moves_runs = moves_runs
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if self._moves_runs:
            await self.take_up_runs()
            self._loops.append(asyncio.ensure_future(_each(RUNS_EACH_S, self.take_up_runs)))
        self._loops.append(asyncio.ensure_future(_each(PAUSES_EACH_S, self.time_out_pauses)))

    async def close(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def time_out_pauses(self) -> None:
        """Apply `on_timeout` to every open pause whose time is up."""
        now = self._house.now()
        for pause in await self._house.database.read(lambda connection: pauses.due(connection, now)):
            await self._decisions.time_out(pause)

    async def take_up_runs(self) -> None:
        """Submit every run that has work and that nobody moves. This is all that recovery does."""
        for run in await self._house.database.read(runs.open_runs):
            if not self._house.dispatch.is_live(run.id):
                self._house.dispatch.submit(run.id)


async def _each(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await look()
        except Exception:
            log.exception("a look at what waits failed; the next one follows")
