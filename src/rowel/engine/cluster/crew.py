"""The workers of this process: they take jobs from the queue, and go on doing so whatever happens to the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from rowel.engine.cluster.pace import Pace
from rowel.engine.cluster.queue import JobQueue
from rowel.store.journal import BATCH_QUEUE, INTERACTIVE_QUEUE

log = logging.getLogger(__name__)

#: Seconds before a worker that ended by itself is replaced.
AGAIN_AFTER_S = 1.0
#: Only rows of workers at their start are pruned by it; they must outlive any stop of a process.
FORGET_AFTER_S = 3600.0
#: Aborting is Rowel's own matter: cancels come as changes of runs.
ABORT_POLL_S = 3600.0


class PatientWorker(Worker):
    """A worker that ends its jobs also when the database was away at that moment: a job that is done and is not marked
    as done would hold its lock for as long as this worker lives."""

    async def wait_stopping(self) -> None:
        """Wait until it takes no more jobs, for whatever reason."""
        await self._stop_event.wait()

    async def _persist_job_status(self, *args: Any, **kwargs: Any) -> None:
        while True:
            try:
                await super()._persist_job_status(*args, **kwargs)
            except ConnectorException as error:
                if not isinstance(error.__cause__, psycopg.OperationalError):
                    raise
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                return


class Crew:
    """One worker for each queue, with signs of life until the last job has ended."""

    def __init__(self, queue: JobQueue, pace: Pace, *, interactive: int, batch: int) -> None:
        """`interactive` and `batch` say how many jobs of each kind are done at a time."""
        self._queue = queue
        self._pace = pace
        self._sizes = {INTERACTIVE_QUEUE: interactive, BATCH_QUEUE: batch}
        self._loops: list[asyncio.Task[None]] = []
        self._workers: set[PatientWorker] = set()
        self._runs: set[asyncio.Task[None]] = set()
        self._heart: asyncio.Task[None] | None = None
        self._is_ending = False

    def start(self) -> None:
        self._loops = [asyncio.ensure_future(self._keep(name, size)) for name, size in self._sizes.items()]
        self._heart = asyncio.ensure_future(self._beat())

    def stop(self) -> None:
        """Take no more jobs; those under way go on."""
        self._is_ending = True
        for loop in self._loops:
            loop.cancel()
        for worker in self._workers:
            worker.stop()  # type: ignore[no-untyped-call]  # Procrastinate leaves it untyped

    async def close(self) -> None:
        """Wait until every job has ended."""
        self.stop()
        await asyncio.gather(*self._loops, *self._runs, return_exceptions=True)
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)

    @property
    def worker_ids(self) -> Sequence[int]:
        return [worker.worker_id for worker in self._workers if worker.worker_id is not None]

    async def _keep(self, queue: str, size: int) -> None:
        """A worker that ends by itself (the database was restarted, its row was pruned) is replaced at once; what it
        still does it does to the end."""
        while not self._is_ending:
            worker = self._worker(queue, size)
            run = asyncio.ensure_future(self._run(worker))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)
            stopped = asyncio.ensure_future(worker.wait_stopping())
            await asyncio.wait({run, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            await asyncio.sleep(AGAIN_AFTER_S)

    def _worker(self, queue: str, size: int) -> PatientWorker:
        return PatientWorker(
            self._queue.app,
            queues=[queue],
            name=queue,
            concurrency=size,
            fetch_job_polling_interval=self._pace.fetch_poll,
            abort_job_polling_interval=ABORT_POLL_S,
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=self._pace.heartbeat,
            stalled_worker_timeout=FORGET_AFTER_S,
        )

    async def _run(self, worker: PatientWorker) -> None:
        if self._is_ending:
            return
        self._workers.add(worker)
        try:
            await worker.run()  # type: ignore[no-untyped-call]  # Procrastinate leaves it untyped
        except Exception as error:  # noqa: BLE001  # whatever ended it, the next one takes its place
            log.warning("a worker ended and is replaced: %s", error)
        finally:
            self._workers.discard(worker)

    async def _beat(self) -> None:
        """Procrastinate's own heart stops when a worker is stopped, though it still does its jobs."""
        while True:
            await asyncio.sleep(self._pace.heartbeat)
            for worker_id in self.worker_ids:
                try:
                    await self._queue.app.job_manager.update_heartbeat(worker_id)
                except Exception as error:  # noqa: BLE001  # the next beat follows
                    log.debug("a sign of life could not be given: %s", error)
