"""What one process does of a batch."""

from __future__ import annotations

import asyncio

from rowel.core.records import Batch, Run
from rowel.core.status import RunType
from rowel.engine import facts
from rowel.engine.batch import BatchJob
from rowel.engine.cluster.source import Source
from rowel.engine.house import House
from rowel.engine.restore import new_frame
from rowel.engine.rows import RowReader
from rowel.engine.runner import Means, Runner
from rowel.files.rows import Row
from rowel.store import runs
from rowel.store.journal import Fence

#: Seconds between two progress events of a batch from one process.
PROGRESS_EACH_S = 0.5
#: Seconds for which what was read of the batch is good enough to claim by.
KNOWN_FOR_S = 0.5
#: Seconds of work that a lane claims at a time, and the most rows.
CLAIM_S = 0.5
MOST_CLAIMED = 500


class Share:
    """The lanes of one batch in this process, and what they have in common."""

    def __init__(self, job: BatchJob, means: Means, house: House) -> None:
        self.job = job
        self.source = Source(house.files, job.dataset)
        self.lanes = 0
        self._means = means
        self._house = house
        self._row_s = 0.0
        self._told_at = 0.0
        self._batch: Batch | None = None
        self._read_at = 0.0
        self._reader = RowReader(job.pinned.program, job.dataset, job.batch)

    @property
    def size(self) -> int:
        """How many rows a lane claims: few, so that at the end nobody waits long for anybody."""
        return max(1, min(MOST_CLAIMED, int(CLAIM_S / self._row_s))) if self._row_s else 1

    def learn(self, seconds: float, rows: int) -> None:
        """Some rows took so long, one after another."""
        if rows:
            self._row_s = max(seconds / rows, 1e-6)

    async def batch(self) -> Batch | None:
        """The batch as it was a moment ago; as it is where its failures are counted."""
        now = asyncio.get_running_loop().time()
        is_watched = self._batch is not None and self._batch.threshold is not None
        if self._batch is None or is_watched or now - self._read_at > KNOWN_FOR_S:
            self._read_at, self._batch = now, await self._read()
        return self._batch

    async def _read(self) -> Batch | None:
        batch_id = self.job.run.id
        return await self._house.database.read(lambda connection: runs.get_batch(connection, batch_id))

    def runner(self, row: Row, fence: Fence) -> Runner:
        """The runner of a row that has no run yet."""
        program, batch_id = self.job.pinned.program, self.job.run.id
        run = self.job.pinned.new_run(
            RunType.BATCH,
            self._house.now(),
            initial_inputs={program.input_id: self._reader.fields(row)},
            parent_run_id=batch_id,
            owner_id=batch_id,
            row_index=row.index,
            is_fresh=self.job.run.is_fresh,
        )
        frame = new_frame(run, program)
        runner = Runner(self._means, run, frame, is_new=True, fence=fence)
        runner.progress.open(frame)
        return runner

    async def tell_progress(self) -> None:
        """Write how far the batch has come, if that was not told just now."""
        now = asyncio.get_running_loop().time()
        if now - self._told_at < PROGRESS_EACH_S:
            return
        self._told_at = now
        batch_id = self.job.run.id
        run, batch = await self._house.database.read(
            lambda connection: (runs.get(connection, batch_id), runs.get_batch(connection, batch_id))
        )
        if run is not None and batch is not None:
            await tell_counts(self._house, run, batch)


async def tell_counts(house: House, run: Run, batch: Batch) -> None:
    """Write how far a batch has come, unless another process told of it since `run` was read. `batch` was read after
    that, so that the counts that are told never go back."""
    told = [facts.of_batch(batch, house.now())]
    seq = await house.journal.report(run, told)
    if seq is not None:
        house.publish(run.id, seq, told)
