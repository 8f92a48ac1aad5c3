"""One process among those that work on one database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rowel.core.errors import Unavailable
from rowel.engine.batches import Batches
from rowel.engine.cluster.crew import Crew
from rowel.engine.cluster.dispatch import ClusterDispatch
from rowel.engine.cluster.lanes import Lanes
from rowel.engine.cluster.pace import Pace
from rowel.engine.cluster.queue import JobQueue
from rowel.engine.cluster.steward import Steward
from rowel.engine.house import House
from rowel.engine.runner import Means
from rowel.engine.takeovers import MakeBatchMover, Takeovers
from rowel.engine.wakeups import Wakeups
from rowel.store import events, queue
from rowel.store.database import Database
from rowel.store.journal import BATCH_QUEUE, INTERACTIVE_QUEUE
from rowel.store.news import News
from rowel.store.notices import notices
from rowel.store.postgres import Postgres

log = logging.getLogger(__name__)

#: Seconds that a worker waits for a server to bring the tables up to date.
MIGRATION_PATIENCE_S = 60.0
TABLES_EACH_S = 0.5


class Cluster:
    """Hears what others commit, looks for what everybody forgot, and does jobs where it has a crew."""

    def __init__(  # noqa: PLR0913  # everything that it watches
        self,
        database: Database,
        dialect: Postgres,
        dispatch: ClusterDispatch,
        jobs: JobQueue,
        wakeups: Wakeups,
        pace: Pace,
        crew: Crew | None,
        *,
        only_works: bool,
    ) -> None:
        self._database = database
        self._dialect = dialect
        self._dispatch = dispatch
        self._jobs = jobs
        self._wakeups = wakeups
        self._pace = pace
        self._crew = crew
        self._only_works = only_works
        self._loops: list[asyncio.Task[None]] = []
        #: Since when this process has seen the database without a break, in the loop's time.
        self._in_touch_since: float | None = None

    @property
    def only_works(self) -> bool:
        """Whether this process accepts nothing itself."""
        return self._only_works

    def join(self, house: House, batches: Batches, means: Means, takeovers: Takeovers) -> MakeBatchMover:
        """Take in the parts that themselves need this one; return what makes the movers of batches."""
        self._dispatch.admission.places = house.places
        lanes = Lanes(house, self._dispatch, batches, means, takeovers)

        async def carry_lane(run_id: str, lane: int) -> None:
            await self._dispatch.carry_lane(lanes.carry(run_id, lane))

        self._jobs.serve(self._dispatch.carry, carry_lane)
        return lambda job: Steward(house, means, job, lanes)

    async def open(self) -> None:
        """Begin to listen, and to work."""
        await self._jobs.open()
        self._loops = [
            asyncio.ensure_future(self._listen()),
            asyncio.ensure_future(_each(self._pace.fallback, self._look)),
        ]
        if self._crew is not None:
            self._crew.start()
            self._loops += [
                asyncio.ensure_future(_each(self._pace.sweep, self._sweep)),
                asyncio.ensure_future(_each(self._pace.reconcile, self._reconcile)),
            ]

    def stop(self) -> None:
        """Take no more jobs."""
        if self._crew is not None:
            self._crew.stop()

    async def close(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._crew is not None:
            await self._crew.close()
        await self._jobs.close()

    async def wait_for_tables(self) -> None:
        """Wait until a server has brought the tables to this version's revision. Raises `Unavailable`."""
        end = asyncio.get_running_loop().time() + MIGRATION_PATIENCE_S
        while not await self._has_tables():
            if asyncio.get_running_loop().time() > end:
                raise Unavailable(
                    "The database's tables are not those of this version. Start `rowel serve` of this version: it "
                    "brings them up to date."
                )
            await asyncio.sleep(TABLES_EACH_S)

    async def _has_tables(self) -> bool:
        with suppress(Unavailable):  # it was there a moment ago, and restarts
            return await asyncio.to_thread(self._database.is_migrated)
        return False

    async def count_workers(self) -> int:
        """How many workers are alive."""
        patience_s = self._pace.stalled
        return await self._database.read(lambda connection: queue.count_workers(connection, patience_s))

    async def _listen(self) -> None:
        async for news in notices(self._dialect):
            if news.sender == self._database.writer.id:
                continue
            if news.is_everything:
                self._look_at_everything()
            else:
                await self._hear(news)

    async def _hear(self, news: News) -> None:
        self._dispatch.hear(news.ids)
        for run_id in news.ids:
            self._wakeups.publish_to_run(run_id, [])
        if self._wakeups.has_general:
            self._dispatch.run_errand(self._publish_to_all(news))

    async def _publish_to_all(self, news: News) -> None:
        """Those who listen to all runs get what was told last of each."""
        found = await self._database.read(
            lambda connection: [(run_id, events.newest(connection, run_id)) for run_id in news.ids]
        )
        for run_id, told in found:
            self._wakeups.publish_to_all(run_id, told)

    def _look_at_everything(self) -> None:
        self._dispatch.look_at_everything()
        self._wakeups.wake_all()

    async def _look(self) -> None:
        self._look_at_everything()

    async def _sweep(self) -> None:
        """Take over the jobs of dead workers. After an outage of the database everybody's signs of life are old, so
        that nobody counts as dead before they could be renewed."""
        now = asyncio.get_running_loop().time()
        try:
            await asyncio.to_thread(self._database.check)
        except Exception:
            self._in_touch_since = None
            raise
        if self._in_touch_since is None:
            self._in_touch_since = now
        if now - self._in_touch_since >= min(self._pace.stalled, 2 * self._pace.heartbeat):
            await self._jobs.take_over(self._pace.stalled)

    async def _reconcile(self) -> None:
        """Put into the queue what has work and is not there."""
        for job in await self._database.read(
            lambda connection: queue.forgotten(connection, INTERACTIVE_QUEUE, BATCH_QUEUE)
        ):
            await self._jobs.defer(job)


async def _each(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await look()
        except Exception as error:  # noqa: BLE001  # the next look follows
            log.warning("a look at the cluster failed, and is repeated: %s", error)
