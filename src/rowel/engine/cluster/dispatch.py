"""The seam between accepting runs and moving them, where other processes move them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rowel.core.errors import Busy, Unavailable
from rowel.core.limits import Limit
from rowel.core.records import Run, RunID
from rowel.core.status import RunStatus
from rowel.engine.cluster.admission import Admission
from rowel.engine.cluster.queue import JobQueue
from rowel.engine.dispatch import LocalDispatch, Mover
from rowel.store import queue as reads
from rowel.store import runs
from rowel.store.database import Database
from rowel.store.journal import BATCH_QUEUE, job_of
from rowel.store.news import Job

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

#: Seconds for which a count of what waits in the queue is good enough.
COUNT_EACH_S = 1.0


class ClusterDispatch(LocalDispatch):
    """What is accepted is in the queue already, by the journal's own transaction. What gets work later is put there.

    In a worker this holds the movers of its jobs; pokes and cancels reach them through notifications.
    """

    def __init__(
        self,
        take: Callable[[RunID], Awaitable[Mover | None]],
        rested: Callable[[Run], Awaitable[None]],
        *,
        database: Database,
        queue: JobQueue,
        queue_limit: int,
        grace_s: float,
        most_waiting: int,
    ) -> None:
        super().__init__(take, rested, queue_limit=queue_limit, grace_s=grace_s)
        self._database = database
        self._jobs = queue
        self._limit = queue_limit
        #: Runs that waited in the queue when they were last counted, and those that came from here since.
        self._counted = 0
        self._added = 0
        self._counted_at = 0.0
        self._errands: set[asyncio.Task[Any]] = set()
        self._carrying: set[asyncio.Task[Any]] = set()
        self._jobs_here: set[RunID] = set()
        self.admission = Admission(queue, most_waiting)

    def check_room(self) -> None:
        if self._is_draining:
            raise Unavailable("The server is shutting down; nothing was started. Try again in a moment.")
        now = asyncio.get_running_loop().time()
        if now - self._counted_at > COUNT_EACH_S:
            self._counted_at = now
            self.run_errand(self._count(self._added))
        waiting = self._counted + self._added
        if waiting >= self._limit:
            raise Busy(f"{waiting} runs are queued already, which is the limit; try again later.")
        self._added += 1

    async def _count(self, added: int) -> None:
        """Count again; `added` came before and are among those counted, or have been done."""
        most = self._limit + 1
        self._counted = await self._database.read(lambda connection: reads.backlog(connection, most))
        self._added -= added

    async def waiting(self) -> int:
        most = self._limit + 1
        return await self._database.read(lambda connection: reads.backlog(connection, most))

    def has_slot(self) -> bool:
        return False

    def submit(self, run_id: RunID, mover: Mover | None = None) -> None:
        """Nothing is to be done: the run came into the queue with its own record."""

    def poke(self, run_id: RunID) -> None:
        mover = self._live.get(run_id)
        if mover is not None:
            mover.poke()
        else:
            self.run_errand(self.enqueue(run_id))

    def wake(self, run: Run) -> None:
        if run.id in self._live or run.row_index is None:
            self.poke(run.id)
        elif run.status is RunStatus.PAUSED:
            self.run_errand(self._jobs.defer(Job(BATCH_QUEUE, run.id)))
        # A row that moves belongs to its lane, which hears of it by a notification.

    async def enqueue(self, run_id: RunID) -> None:
        """Put the run, or the one that it is part of, into the queue. A row that moves is left to its lane."""
        root = await self._database.read(lambda connection: reads.root_of(connection, run_id))
        if root is None:
            return
        if (mover := self._live.get(root.id)) is not None:
            mover.poke()
        elif root.row_index is None or root.status is RunStatus.PAUSED:
            await self._jobs.defer(job_of(root))

    async def enqueue_job(self, job: Job) -> None:
        """Put a job into the queue, unless it waits there already."""
        await self._jobs.defer(job)

    async def carry(self, run_id: str) -> None:
        """Do the job of moving this run here until it rests, or until this process drains."""
        with self._carried():
            self._jobs_here.add(RunID(run_id))
            try:
                await self._move(RunID(run_id), None, takes_slot=False)
            finally:
                self._jobs_here.discard(RunID(run_id))
                await self.admission.leave(RunID(run_id))
                if self._is_draining:
                    await asyncio.shield(self._hand_on(run_id))

    async def admit(self, run: Run, limit: Limit) -> bool:
        # What a lane takes up waits in its lane.
        return run.id not in self._jobs_here or await self.admission.admit(run, limit)

    def is_inside(self, run_id: RunID) -> bool:
        return self.admission.is_inside(run_id)

    async def carry_lane(self, drive: Coroutine[Any, Any, None]) -> None:
        """Do the job of a lane."""
        with self._carried():
            await drive

    async def _hand_on(self, run_id: str) -> None:
        run = await self._database.read(lambda connection: runs.get(connection, run_id))
        if run is not None and run.has_work and not run.status.is_final:
            await self._jobs.defer(job_of(run))

    @contextmanager
    def _carried(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            yield
        finally:
            self._carrying.discard(task)

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    def hear(self, ids: Iterable[str]) -> None:
        """Other processes changed these runs."""
        waited_for = []
        for run_id in map(RunID, ids):
            if (mover := self._live.get(run_id)) is not None:
                mover.poke()
            if run_id in self._waiting or self.admission.is_waiting(run_id):
                waited_for.append(run_id)
        if waited_for:
            self.run_errand(self._look(waited_for))

    def look_at_everything(self) -> None:
        """Something may have been missed."""
        self.hear({*self._live, *self._waiting, *self.admission.waiting})

    async def _look(self, ids: Sequence[RunID]) -> None:
        """Tell those who wait for these runs where they have come to rest."""
        found = await self._database.read(lambda connection: _resting(connection, ids))
        for run in found:
            self._resolve(run.id, run, None)
        ended = {run.id for run in found if run.status.is_final}
        self.admission.give_up(ended.__contains__)

    async def close(self, *, at_once: bool = False) -> None:
        """Start nothing more, let running tasks end within the grace, then interrupt them. Their runs are handed on."""
        self._is_draining = True
        self.admission.give_up()
        for mover in list(self._live.values()):
            mover.drain()
        for run_id in list(self._waiting):
            self._resolve(run_id, None, None)
        work = {*self._work, *self._carrying}
        if work:
            _, late = await asyncio.wait(work, timeout=0 if at_once else self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await asyncio.gather(*self._errands, return_exceptions=True)

    def run_errand(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Do something that nobody waits for; what fails is found by the next look for forgotten runs."""
        task = asyncio.ensure_future(errand)
        self._errands.add(task)
        task.add_done_callback(self._end_errand)

    def _end_errand(self, task: asyncio.Task[Any]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("the queue could not be reached: %s", error)


def _resting(connection: Connection, ids: Sequence[RunID]) -> list[Run]:
    found = (runs.get(connection, run_id) for run_id in ids)
    return [
        run
        for run in found
        if run is not None and (run.status.is_final or (run.status is RunStatus.PAUSED and not run.has_work))
    ]
