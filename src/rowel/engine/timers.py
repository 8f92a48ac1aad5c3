"""Looks at the rows that wait for a moment, and takes up runs that nobody moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rowel.core.errors import Unavailable
from rowel.engine.cancels import Cancels
from rowel.engine.decisions import Decisions
from rowel.engine.house import House
from rowel.store import pauses, runs

log = logging.getLogger(__name__)

#: Seconds until the next look at runs that have work, where one failed or some of them wait their turn.
SOON_S = 1.0


class Timers:
    """Two slow loops beside the runs."""

    def __init__(self, house: House, decisions: Decisions, *, moves_runs: bool = True) -> None:
        """`moves_runs`: runs move in this process, so that forgotten ones are taken up here."""
        self._house = house
        self._decisions = decisions
        self._cancels = Cancels(house)
        self._moves_runs = moves_runs
        self._loops: list[asyncio.Task[None]] = []
        #: Whether the next look at runs that have work comes soon.
        self._looks_soon = False

    async def start(self) -> None:
        try:
            await self._look_at_runs()
        except Unavailable as error:
            log.warning("open runs are taken up in a moment: %s", error)
            self._looks_soon = True
        if self._moves_runs:
            self._loops.append(asyncio.ensure_future(_each(self._until_next_runs, self.take_up_runs)))
        self._loops += [
            asyncio.ensure_future(_each(lambda: self._house.upkeep.pauses_each, self.time_out_pauses)),
            asyncio.ensure_future(_each(lambda: self._house.upkeep.runs_each, self.cancel_orphans)),
        ]

    async def _look_at_runs(self) -> None:
        await self.cancel_orphans()
        if self._moves_runs:
            await self.take_up_runs()

    def _until_next_runs(self) -> float:
        each = self._house.upkeep.runs_each
        return min(SOON_S, each) if self._looks_soon else each

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
        """Submit every run that has work and that nobody moves. This is all that recovery does.

        Of those that were under way when servers ended, again and again, one goes at a time, the most suspicious first.
        """
        found = await self._house.database.read(runs.open_runs)
        suspects = [run for run in found if run.recoveries >= self._house.upkeep.suspicious]
        waiting = [run for run in suspects if not self._house.dispatch.is_live(run.id)]
        if waiting and len(waiting) == len(suspects):
            waiting.remove(max(waiting, key=lambda run: run.recoveries))
        self._looks_soon = bool(waiting)
        held_back = {run.id for run in waiting}
        for run in found:
            if run.id not in held_back:
                self._house.dispatch.remind(run.id, run.signals)

    async def cancel_orphans(self) -> None:
        """Cancel what was on its way into the store while its owner was canceled, and a crash came in between."""
        for run in await self._house.database.read(runs.orphans):
            await self._cancels.cancel_late(run)


async def _each(seconds: Callable[[], float], look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds())
        try:
            await look()
        except Unavailable as error:
            log.info("a look at what waits failed; the next one follows: %s", error)
        except Exception:
            log.exception("a look at what waits failed; the next one follows")
