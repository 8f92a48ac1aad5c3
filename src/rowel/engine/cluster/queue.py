"""The queue between those who accept runs and those who move them: Procrastinate on Postgres."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector, exceptions
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from rowel.engine.clock import SystemClock
from rowel.store.news import Job
from rowel.store.postgres import Postgres

log = logging.getLogger(__name__)

#: Names in the database: jobs of an older version are done by a newer one.
RUN_TASK = "rowel.run"
LANE_TASK = "rowel.lane"

#: What a worker does about a run, and about a lane of a batch.
Carry = Callable[[str], Awaitable[None]]
CarryLane = Callable[[str, int], Awaitable[None]]


class JobQueue:
    """Puts jobs into the queue; a job that waits there already is not put in again."""

    def __init__(self, dialect: Postgres) -> None:
        # The connection's own keyword arguments, and the pool's.
        pool: dict[str, Any] = {"min_size": 1, "max_size": 8, "timeout": 10.0, "kwargs": dialect.settings()}
        self.app = App(connector=PsycopgConnector(**pool))
        # It never opens a connection: it works on the writer's.
        self._in_transaction = JobManager(SyncPsycopgConnector())
        dialect.enqueue = self._enqueue

    def _enqueue(self, connection: Any, jobs: Sequence[Job]) -> None:
        self._in_transaction.batch_defer_jobs([queued(job) for job in jobs], connection=connection)

    def serve(self, carry: Carry, carry_lane: CarryLane) -> None:
        """Say what this process does about jobs."""

        async def move_run(run_id: str) -> None:
            await carry(run_id)

        async def move_lane(run_id: str, lane: int) -> None:
            await carry_lane(run_id, lane)

        self.app.task(name=RUN_TASK)(move_run)
        self.app.task(name=LANE_TASK)(move_lane)

    async def open(self) -> None:
        await self.app.open_async()

    async def close(self) -> None:
        await self.app.close_async()

    async def defer(self, job: Job, *, delay_s: float | None = None) -> bool:
        """Put a job into the queue, to be taken in so many seconds. False where it waits there already."""
        waiting = queued(job)
        if delay_s is not None:
            waiting = waiting.evolve(scheduled_at=SystemClock().now() + timedelta(seconds=delay_s))
        try:
            await self.app.job_manager.defer_job_async(waiting)
        except exceptions.AlreadyEnqueued:
            return False
        return True

    async def take_over(self, patience_s: float) -> None:
        """Put the jobs of dead workers into the queue anew. A job is never handed on itself: its worker may only have
        been stopped, and would end it as done when it goes on."""
        stalled = await self.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=patience_s)
        replaced = [job.lock for job in stalled if job.id is not None and await self._replace(job, job.id)]
        if replaced:
            log.warning(
                "%d jobs of dead or stopped workers were taken over, %s first", len(replaced), replaced[0]
            )

    async def _replace(self, job: QueuedJob, job_id: int) -> bool:
        again = QueuedJob(
            queue=job.queue,
            lock=job.lock,
            queueing_lock=job.lock,
            task_name=job.task_name,
            task_kwargs=job.task_kwargs,
        )
        try:
            await self.app.job_manager.defer_job_async(again)
        except exceptions.AlreadyEnqueued:
            log.debug("the job %s waits already", job.lock)
        try:
            await self.app.job_manager.finish_job_by_id_async(job_id, Status.FAILED, delete_job=True)
        except exceptions.ConnectorException as error:
            log.debug("somebody else took over job %s: %s", job.lock, error)
            return False
        return True


def queued(job: Job) -> QueuedJob:
    """The job as Procrastinate keeps it."""
    values: dict[str, Any] = {"run_id": job.run_id}
    if job.lane is not None:
        values["lane"] = job.lane
    return QueuedJob(
        queue=job.queue,
        lock=job.name,
        queueing_lock=job.name,
        task_name=RUN_TASK if job.lane is None else LANE_TASK,
        task_kwargs=values,
    )
