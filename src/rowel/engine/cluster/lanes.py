"""Works on batches together with other processes: a lane claims the next rows and runs them one after another."""

from __future__ import annotations

import asyncio

from rowel.core.errors import InvalidDataset, NotFound, Unavailable
from rowel.core.records import RunID
from rowel.engine.batch import FILES_EACH_S
from rowel.engine.batches import Batches
from rowel.engine.cluster.dispatch import ClusterDispatch
from rowel.engine.cluster.share import Share
from rowel.engine.cluster.slice import Slice
from rowel.engine.house import House
from rowel.engine.runner import Means
from rowel.engine.takeovers import Takeovers
from rowel.store import runs
from rowel.store.journal import BATCH_QUEUE
from rowel.store.lanes import Lane, LaneWrites
from rowel.store.news import Job


class Lanes:
    """The lanes that this process opens, and those whose jobs it does."""

    def __init__(
        self, house: House, dispatch: ClusterDispatch, batches: Batches, means: Means, takeovers: Takeovers
    ) -> None:
        self._house = house
        self._dispatch = dispatch
        self._batches = batches
        self._means = means
        self._takeovers = takeovers
        self._writes = LaneWrites(house.database.writer, house.database.dialect)
        self._shares: dict[RunID, Share] = {}

    async def open(self, batch_id: RunID, wanted: int) -> None:
        """Make the lanes that are missing of the `wanted` ones."""
        await asyncio.gather(*(self._open(batch_id, number) for number in range(wanted)))

    async def _open(self, batch_id: RunID, number: int) -> None:
        if await self._writes.open(batch_id, number):
            await self._dispatch.enqueue_job(Job(BATCH_QUEUE, batch_id, number))

    async def carry(self, run_id: str, number: int) -> None:
        """Do one slice of a lane's work. What is left of it comes into the queue anew."""
        lane = await self._writes.take(RunID(run_id), number)
        if lane is None:
            return
        share = await self._enter(lane)
        if share is None:
            await self._end(lane)
            return
        try:
            await self._work(share, lane)
        finally:
            await self._leave(share)

    async def _work(self, share: Share, lane: Lane) -> None:
        work = Slice(self._house, self._dispatch, self._writes, share, lane, self._takeovers.take_row)
        is_left = True
        try:
            is_left = await work.drive()
        except Unavailable:
            await asyncio.sleep(FILES_EACH_S)
        except (InvalidDataset, NotFound) as error:
            await self._takeovers.fail(share.job.run, f"The batch could not go on: {error.message}")
        finally:
            if is_left:
                await asyncio.shield(self._dispatch.enqueue_job(Job(BATCH_QUEUE, lane.run_id, lane.number)))
        if not is_left:
            await self._end(work.lane)

    async def _enter(self, lane: Lane) -> Share | None:
        """This process's share of the batch. None where it has ended or can't be read."""
        run = await self._house.database.read(lambda connection: runs.get(connection, lane.run_id))
        if run is None or run.status.is_final:
            return None
        if run.id not in self._shares:
            try:
                job = await self._batches.job(run)
            except NotFound:
                return None
            self._shares.setdefault(run.id, Share(job, self._means, self._house))
        share = self._shares[run.id]
        share.lanes += 1
        return share

    async def _leave(self, share: Share) -> None:
        share.lanes -= 1
        if not share.lanes:
            self._shares.pop(share.job.run.id, None)
            await share.source.close()

    async def _end(self, lane: Lane) -> None:
        """Close a lane that has nothing more to do; the batch's steward sees what that makes of it."""
        if await self._writes.close(lane):
            await self._dispatch.enqueue(lane.run_id)
