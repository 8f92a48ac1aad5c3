"""A lane's work for about two seconds; then it lets others have its place in the queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rowel.core.batching import bound_of, next_row
from rowel.core.records import Batch, Run, RunID
from rowel.core.status import RunStatus
from rowel.engine.cluster.dispatch import ClusterDispatch
from rowel.engine.cluster.share import Share
from rowel.engine.house import House
from rowel.engine.runner import Runner
from rowel.files.rows import Row
from rowel.store import queue, runs
from rowel.store.journal import Fence
from rowel.store.lanes import Lane, LaneWrites

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

SLICE_S = 2.0


class Slice:
    """One lane in the hands of one worker."""

    def __init__(  # what it works with, and what on
        self,
        house: House,
        dispatch: ClusterDispatch,
        writes: LaneWrites,
        share: Share,
        lane: Lane,
        take_row: Callable[[RunID], Awaitable[Runner | None]],
    ) -> None:
        self.lane = lane
        self._house = house
        self._dispatch = dispatch
        self._writes = writes
        self._share = share
        self._take_row = take_row
        self._ends_at = _now() + SLICE_S
        #: A row was left unsettled: whoever has the lane next takes it up.
        self._is_stuck = False

    async def drive(self) -> bool:
        """Return whether the lane has more to do."""
        if self.lane.start < self.lane.stop:
            await self._take_up()
        while not self._is_over():
            batch = await self._share.batch()
            if batch is None or not self._may_claim(batch) or not await self._claim(batch):
                return False
        return await self._writes.keep(self.lane)

    def _is_over(self) -> bool:
        return self._is_stuck or _now() >= self._ends_at or self._dispatch.is_draining

    def _may_claim(self, batch: Batch) -> bool:
        return self.lane.number < batch.window and next_row(batch) is not None

    async def _claim(self, batch: Batch) -> bool:
        """Run the next rows. False where none are left."""
        first, bound = next_row(batch) or 0, bound_of(batch)
        # Where failures are counted, no row is claimed that might then not begin.
        size = self._share.size if batch.threshold is None else 1
        claimed = await self._share.source.claim(
            lambda: self._writes.claim(self.lane, size, bound, first=first)
        )
        if claimed is None:
            return False
        self.lane, rows = claimed
        await self._run([row for row in rows if row.index in batch.rows], {})
        return True

    async def _take_up(self) -> None:
        """Go on with rows that were claimed earlier; some of them may have begun."""
        lane = self.lane
        rows = await self._share.source.read(lane.start, lane.stop)
        begun = await self._house.database.read(
            lambda connection: runs.rows_of(connection, lane.run_id, lane.start, lane.stop - lane.start)
        )
        mine = [row for row in rows if row.index in self._share.job.batch.rows]
        await self._run(mine, {run.row_index: run for run in begun})

    async def _run(self, rows: Sequence[Row], begun: Mapping[int | None, Run]) -> None:
        start, count = _now(), 0
        for row in rows:
            if self._is_over() or not await self._run_row(row, begun.get(row.index)):
                break
            self.lane = self.lane._replace(start=row.index + 1)
            count += 1
            await self._share.tell_progress()
        else:
            self.lane = self.lane._replace(start=self.lane.stop)
        self._share.learn(_now() - start, count)

    async def _run_row(self, row: Row, run: Run | None) -> bool:
        """Whether the row is no longer this lane's business."""
        if run is None:
            runner = self._share.runner(row, Fence(self.lane.number, self.lane.epoch))
        elif (
            not run.has_work
            or await self._house.database.read(lambda connection: _has_job(connection, run))
            or (taken := await self._take_row(run.id)) is None
        ):
            return True
        else:
            runner = taken
        is_settled = await self._drive(runner)
        self._is_stuck = not is_settled
        return is_settled

    async def _drive(self, runner: Runner) -> bool:
        run_id = runner.run.id
        self._dispatch.enter(run_id, runner)
        try:
            run = await runner.drive()
        except Exception:
            log.exception("row run %s could not be moved; it is tried again", run_id)
            return False
        finally:
            self._dispatch.leave(run_id)
        return run.status.is_final or run.status is RunStatus.PAUSED


def _has_job(connection: Connection, run: Run) -> bool:
    return queue.has_job(connection, run.id)


def _now() -> float:
    return asyncio.get_running_loop().time()
