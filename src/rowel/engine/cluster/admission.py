"""Runs of workflows that limit how many execute at once: a few wait in this worker, the others in the queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from rowel.core.limits import Limit
from rowel.core.records import Run, RunID
from rowel.engine.cluster.queue import JobQueue
from rowel.store.journal import job_of

if TYPE_CHECKING:
    from rowel.engine.places import Places

#: Seconds for which a run that found no room to wait comes into the queue anew, at least and at most.
LATER_S = 2.0
LATEST_S = 60.0
#: Runs that one worker looks at in a second, so that the queue is not busy with those that wait.
LOOKS_PER_S = 20.0


class Admission:
    """Gives the runs of this worker's jobs their places before they are taken over: until then they are PENDING."""

    #: Set once the parts are put together.
    places: Places

    def __init__(self, jobs: JobQueue, most: int) -> None:
        """`most` runs may wait here, each of which holds one of the worker's own slots."""
        self._jobs = jobs
        self._most = most
        self._waiting: dict[RunID, asyncio.Task[AsyncExitStack]] = {}
        self._inside: dict[RunID, AsyncExitStack] = {}
        #: When those come back that were sent into the queue, by the loop's clock.
        self._away: deque[float] = deque()

    async def admit(self, run: Run, limit: Limit) -> bool:
        """Wait for a place. False where the run is not to be moved now: others wait here, or it has ended meanwhile."""
        if limit.at_once is None:
            return True
        if len(self._waiting) >= self._most:
            await self._jobs.defer(job_of(run), delay_s=self._delay_s())
            return False
        entering = asyncio.ensure_future(self.places.enter(run, limit))
        self._waiting[run.id] = entering
        try:
            self._inside[run.id] = await entering
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return False
        finally:
            self._waiting.pop(run.id, None)
        return True

    def is_inside(self, run_id: RunID) -> bool:
        return run_id in self._inside

    @property
    def waiting(self) -> Collection[RunID]:
        return self._waiting.keys()

    def is_waiting(self, run_id: RunID) -> bool:
        return run_id in self._waiting

    async def leave(self, run_id: RunID) -> None:
        """The run's job is done here."""
        place = self._inside.pop(run_id, None)
        if place is not None:
            await place.aclose()

    def give_up(self, which: Callable[[RunID], bool] = lambda _: True) -> None:
        """Let these wait no longer."""
        for run_id, entering in list(self._waiting.items()):
            if which(run_id):
                entering.cancel()

    def _delay_s(self) -> float:
        now = asyncio.get_running_loop().time()
        while self._away and self._away[0] <= now:
            self._away.popleft()
        delay_s = min(LATEST_S, max(LATER_S, len(self._away) / LOOKS_PER_S))
        self._away.append(now + delay_s)
        return delay_s
