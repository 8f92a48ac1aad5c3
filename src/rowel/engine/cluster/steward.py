"""Looks after a batch whose rows many processes run: opens its lanes, and brings it to rest at the end."""

from __future__ import annotations

import asyncio

from rowel.core.batching import Outlook, outlook, to_begin
from rowel.core.records import Batch, Run
from rowel.engine.batch import BatchJob, BatchMover
from rowel.engine.cluster.lanes import Lanes
from rowel.engine.cluster.share import tell_counts
from rowel.engine.house import House
from rowel.engine.runner import Means
from rowel.store import lanes, runs
from rowel.store.journal import Changes

#: The most lanes of one batch, however wide its window.
MOST_LANES = 256


class Steward(BatchMover):
    """The mover of a batch in a cluster. It moves no rows, and waits for none: it is called whenever something is to be
    decided."""

    def __init__(self, house: House, means: Means, job: BatchJob, lanes_of_process: Lanes) -> None:
        super().__init__(house, means, job, _nobody)
        self._lanes = lanes_of_process

    async def drive(self) -> Run:
        """Open lanes while rows may begin; rest once no row moves."""
        while not self._is_over() and not self._is_draining:
            self._is_poked = False
            if not await self._look():
                break
        return self.run

    async def _look(self) -> bool:
        """See what is to be done and do it. False where nothing is, for now."""
        found = await self._house.database.read(
            lambda connection: (
                runs.get(connection, self.run.id),
                runs.get_batch(connection, self.run.id),
                lanes.count(connection, self.run.id),
            )
        )
        seen, batch, count = found
        if batch is None or not self._is_mine(seen):
            return False
        self.run, self._batch = self.run.evolve(signals=seen.signals, status=seen.status), batch
        wanted = min(batch.window, MOST_LANES, to_begin(batch))
        if count < wanted:
            await self._lanes.open(self.run.id, wanted)
        elif not count and outlook(batch) is not Outlook.GOES_ON:
            await self._rest(batch)
            return True
        await self._leave(seen, batch)
        return False

    async def _leave(self, seen: Run, batch: Batch) -> None:
        """The batch goes on without its steward, which may be called often and is no sign of trouble."""
        await asyncio.gather(
            self._house.journal.advance(self.run, Changes(), has_progressed=True),
            tell_counts(self._house, seen, batch),
        )


async def _nobody(_: object) -> None:
    return None
