"""Moves one batch: a window of row runs over a streamed dataset, then the output file."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from rowel.core.batching import Outlook, next_row, outlook, passed_threshold
from rowel.core.errors import RowelError, Unavailable
from rowel.core.records import Batch, Dataset, OutputFile, Pause, Run, RunID
from rowel.core.status import RunStatus, RunType
from rowel.engine import facts
from rowel.engine.canaries import question
from rowel.engine.cancels import Cancels
from rowel.engine.house import House
from rowel.engine.outputparts import delete_parts, write_output
from rowel.engine.patience import until_back
from rowel.engine.restore import new_frame
from rowel.engine.rows import RowReader, selected_rows
from rowel.engine.runner import Means, Runner
from rowel.engine.workflows import Pinned
from rowel.files.rows import Row
from rowel.store import pauses, runs
from rowel.store.journal import Changes, Fact, Rest

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Rows that begin between two turns of the event loop: others have theirs meanwhile.
AT_ONCE = 4
#: Seconds between two progress events of a batch.
PROGRESS_EACH_S = 0.5
#: Seconds until a batch asks anew for files that could not be read or written.
FILES_EACH_S = 1.0


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """What a batch needs to go on."""

    run: Run
    batch: Batch
    dataset: Dataset
    file: OutputFile
    pinned: Pinned


class BatchMover:
    """One batch while it moves. Its rows are runs like any other, moved here and nowhere else."""

    def __init__(
        self,
        house: House,
        means: Means,
        job: BatchJob,
        take_row: Callable[[RunID], Awaitable[Runner | None]],
    ) -> None:
        self.run = job.run
        self._house = house
        self._means = means
        self._job = job
        self._take_row = take_row
        self._batch = job.batch
        self._reader = RowReader(job.pinned.program, job.dataset, job.batch)
        #: Rows have ended since the counts were read.
        self._is_behind = False
        self._rows: dict[RunID, asyncio.Task[None]] = {}
        self._resumed: deque[RunID] = deque()
        self._has_more = False
        #: Rows that were under way when servers ended, again and again, the most suspicious first, and the one of them
        #: that goes.
        self._suspects: deque[RunID] = deque()
        self._suspect: RunID | None = None
        self._news = asyncio.Event()
        self._is_poked = True
        self._gate = asyncio.Event()
        self._gate.set()
        self._is_stopped = False
        self._is_draining = False
        self._told_at = 0.0
        #: Why the batch itself can't go on.
        self._reason: str | None = None

    async def drive(self) -> Run:
        """Run every row that has not ended, then bring the batch to rest."""
        try:
            while not self._is_over():
                await self._begin_rows()
                await self._settle_down()
        finally:
            await self._end_rows()
        return self.run

    async def _begin_rows(self) -> None:
        """Begin rows as long as rows may begin. Where the dataset can't be read any more the batch will fail, once its
        rows that have begun have ended."""
        while self._may_begin() and self._reason is None and next_row(self._batch) is not None:
            try:
                await self._begin_more()
                return
            except Unavailable:
                await asyncio.sleep(FILES_EACH_S)
            except RowelError as error:
                self._reason = f"The batch could not go on: {error.message}"
                return

    async def _begin_more(self) -> None:
        async with aclosing(self._stream()) as stream:
            begun = 0
            async for row in stream:
                if not await self._has_room():
                    return
                self._begin_row(row)
                begun += 1
                if begun % AT_ONCE == 0:
                    await asyncio.sleep(0)

    def poke(self) -> None:
        self._is_poked = True
        self._news.set()

    def shut(self) -> None:
        self._gate.clear()

    def reopen(self) -> None:
        self._gate.set()

    def stop(self) -> None:
        self._is_stopped = True
        self._gate.set()
        self._news.set()

    def drain(self) -> None:
        self._is_draining = True
        self._news.set()

    def _is_over(self) -> bool:
        is_resting = self.run.status.is_final or self.run.status is RunStatus.PAUSED
        if self._is_draining:
            return not self._rows
        return self._is_stopped or (is_resting and not self._is_poked)

    def _stream(self) -> AsyncGenerator[Row, None]:
        """The rows that have no run yet."""
        batch = self._batch
        return selected_rows(self._house.files, self._job.dataset, batch.rows, batch.cursor)

    async def _has_room(self) -> bool:
        """Wait until another row may begin. False where none may any more."""
        while True:
            await self._gate.wait()
            if not self._may_begin():
                return False
            await self._take_up_resumed()
            if len(self._rows) < self._batch.window:
                if self._batch.threshold is not None:
                    await self._count_anew()
                return next_row(self._batch) is not None
            await self._wait()

    async def _count_anew(self) -> None:
        """Take the counts from the store, if rows have ended since."""
        if not self._is_behind:
            return
        self._is_behind = False
        self._take_in(await self._read(lambda connection: runs.get_batch(connection, self.run.id)))

    def _take_in(self, batch: Batch | None) -> None:
        """What the store says, but for rows that are just beginning."""
        if batch is not None:
            self._batch = replace(batch, cursor=max(batch.cursor, self._batch.cursor))

    def _may_begin(self) -> bool:
        return not (self._is_stopped or self._is_draining)

    async def _wait(self) -> None:
        if not (self._is_poked or self._is_stopped):
            self._news.clear()
            await self._news.wait()
        await self._tell_progress()

    async def _take_up_resumed(self) -> None:
        """Rows that a crash interrupted or that people have answered go first."""
        if self._is_poked or (self._has_more and not self._resumed):
            self._is_poked = False
            await self._find_resumed()
        while len(self._rows) < self._batch.window and self._may_begin():
            run_id = self._next_resumed()
            if run_id is None:
                return
            await self._work_again()
            self._go(run_id, self._move_taken(run_id))

    def _next_resumed(self) -> RunID | None:
        """Of the suspects one goes at a time."""
        if self._resumed:
            return self._resumed.popleft()
        if not self._suspects or self._suspect in self._rows:
            return None
        self._suspect = self._suspects.popleft()
        return self._suspect

    async def _work_again(self) -> None:
        """A batch that rested is RUNNING again once a row of it moves."""
        if self.run.status is not RunStatus.PAUSED:
            return
        counts = facts.of_batch(self._batch, self._house.now())
        if await self._tell([facts.of_run(self.run, RunStatus.RUNNING), counts], RunStatus.RUNNING):
            self.run = self.run.evolve(status=RunStatus.RUNNING)

    async def _tell(self, told: list[Fact], status: RunStatus | None = None) -> bool:
        """Write that the batch goes on (with `status`: as this). False, and an end here, where it isn't ours."""
        seq = await self._house.journal.advance(self.run, Changes(facts=told), status)
        if seq is None:
            self.stop()
            return False
        self._house.publish(self.run.id, seq, told)
        return True

    async def _find_resumed(self) -> None:
        """As many as there is room for; `_has_more` says that others may wait."""
        known = {*self._rows, *self._resumed, *self._suspects}
        most = len(known) + max(0, self._batch.window - len(self._resumed))
        found = await self._read(
            lambda connection: (
                runs.get(connection, self.run.id),
                runs.get_batch(connection, self.run.id),
                runs.open_rows(connection, self.run.id, most),
            )
        )
        seen, batch, open_rows = found
        if not self._is_mine(seen):
            self.stop()
            return
        self.run = self.run.evolve(signals=seen.signals)
        self._take_in(batch)
        self._has_more = len(open_rows) >= most
        self._line_up([row for row in open_rows if row.id not in known])

    def _line_up(self, waiting: Sequence[runs.OpenRun]) -> None:
        suspicious = self._house.upkeep.suspicious
        suspects = [row for row in waiting if row.recoveries >= suspicious]
        suspects.sort(key=lambda row: row.recoveries, reverse=True)
        self._suspects.extend(row.id for row in suspects)
        self._resumed.extend(row.id for row in waiting if row.recoveries < suspicious)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await until_back(lambda: self._house.database.read(query))

    def _is_mine(self, seen: Run | None) -> TypeGuard[Run]:
        """Whether nobody else has taken the batch over or ended it."""
        return seen is not None and seen.epoch == self.run.epoch and not seen.status.is_final

    def _begin_row(self, row: Row) -> None:
        program = self._job.pinned.program
        run = self._job.pinned.new_run(
            RunType.BATCH,
            self._house.now(),
            initial_inputs={program.input_id: self._reader.fields(row)},
            parent_run_id=self.run.id,
            owner_id=self.run.id,
            row_index=row.index,
            is_fresh=self.run.is_fresh,
        )
        frame = new_frame(run, program)
        runner = Runner(self._means, run, frame, is_new=True, cursor=self._batch.cursor)
        runner.progress.open(frame)
        self._batch = replace(self._batch, cursor=row.index + 1)
        self._go(run.id, self._move(runner))

    def _go(self, run_id: RunID, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._rows[run_id] = task
        task.add_done_callback(lambda _: self._row_ended(run_id))

    def _row_ended(self, run_id: RunID) -> None:
        self._rows.pop(run_id, None)
        self._is_behind = True
        self._news.set()

    async def _move_taken(self, run_id: RunID) -> None:
        runner = await self._take_row(run_id)
        if runner is not None:
            await self._move(runner)

    async def _move(self, runner: Runner) -> None:
        run_id = runner.run.id
        self._house.dispatch.enter(run_id, runner)
        try:
            await runner.drive()
        except Exception:
            log.exception("row run %s could not be moved; it is tried again", run_id)
            self.poke()
        finally:
            self._house.dispatch.leave(run_id)

    async def _tell_progress(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at < PROGRESS_EACH_S or self._is_stopped or not self._gate.is_set():
            return
        self._told_at = now
        await self._count_anew()
        await self._tell([facts.of_batch(self._batch, self._house.now())])

    async def _settle_down(self) -> None:
        """Let the last rows end, then rest as they leave the batch."""
        await self._gate.wait()
        await self._take_up_resumed()
        if self._rows or self._resumed or self._suspects:
            await self._wait()
            return
        if self._is_stopped or self._is_draining:
            return
        found = await self._read(
            lambda connection: (
                runs.get(connection, self.run.id),
                runs.get_batch(connection, self.run.id),
            )
        )
        seen, batch = found
        if batch is None or not self._is_mine(seen):
            self.stop()
            return
        self.run, self._batch = self.run.evolve(signals=seen.signals, status=seen.status), batch
        await self._rest(batch)

    async def _rest(self, batch: Batch) -> None:
        """Rest as nothing is in flight any more, or go on where something may be."""
        if self._reason is not None:
            await self._fail(self._reason)
            return
        match outlook(batch):
            case Outlook.GOES_ON:
                self.poke()
                if next_row(batch) is None:
                    await asyncio.sleep(0.05)
            case Outlook.FAILS:
                await self._fail(_too_many(batch))
            case Outlook.ASKS:
                await self._ask(batch)
            case Outlook.WAITS:
                await self._write_rest(batch, RunStatus.PAUSED)
            case Outlook.COMPLETES:
                await self._complete(batch)

    async def _ask(self, batch: Batch) -> None:
        """Let a person decide about the rest, by the batch's own pause; it may be open already."""
        is_open = await self._read(lambda connection: pauses.open_of_run(connection, self.run.id))
        asked = [] if is_open else [question(batch, self._house.now())]
        await self._write_rest(batch, RunStatus.PAUSED, asked=asked)

    async def _complete(self, batch: Batch) -> None:
        try:
            file = await write_output(
                self._house, self.run, self._job.file, batch.dataset_rows, self._say_it_goes_on
            )
        except Unavailable:
            self.poke()
            await asyncio.sleep(FILES_EACH_S)
            return
        await self._write_rest(batch, RunStatus.COMPLETED, _summary(batch), file=file)
        if self.run.status.is_final:
            await delete_parts(self._house, file, batch.dataset_rows)

    async def _say_it_goes_on(self) -> None:
        """Whoever takes the batch over next has less to do, so that this was no try in vain."""
        await self._house.journal.advance(self.run, Changes(), has_progressed=True)

    async def _write_rest(
        self,
        batch: Batch,
        status: RunStatus,
        message: str | None = None,
        *,
        file: OutputFile | None = None,
        asked: Sequence[Pause] = (),
    ) -> None:
        await self._gate.wait()
        if self._is_stopped:
            return
        now = self.run.ended_at(self._house.now())
        end = now if status.is_final else None
        rest = Rest(status=status, message=message, end_time=end, signals=self.run.signals)
        counts = _without_the_rest(batch) if status is RunStatus.FAILED else batch
        told = [
            facts.of_batch(counts, now),
            *map(facts.of_pause, asked),
            facts.of_run(self.run, status, message),
        ]
        seq = await self._house.journal.rest_batch(
            self.run, Changes(pauses=asked, facts=told), rest, settled=batch.settled, file=file
        )
        if seq is None:
            self.poke()
            return
        self._has_rested(rest, seq, told)

    async def _fail(self, reason: str) -> None:
        """End FAILED, with the rows that wait for people: nobody would move them any more."""
        cancels = Cancels(self._house)
        await until_back(lambda: cancels.cancel_owned(self.run, reason))
        batch = await self._read(lambda connection: runs.get_batch(connection, self.run.id))
        if batch is None:
            return
        await self._write_rest(batch, RunStatus.FAILED, reason)
        if self.run.status.is_final:
            await until_back(lambda: cancels.cancel_owned(self.run, reason))

    def _has_rested(self, rest: Rest, seq: int, told: list[Fact]) -> None:
        self.run = self.run.evolve(
            status=rest.status, message=rest.message, end_time=rest.end_time, has_work=False
        )
        self._house.publish(self.run.id, seq, told)

    async def _end_rows(self) -> None:
        tasks = list(self._rows.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _summary(batch: Batch) -> str:
    parts = [f"{batch.completed} of {batch.total} rows completed"]
    parts += [
        f"{count} {word}" for word, count in (("failed", batch.failed), ("canceled", batch.canceled)) if count
    ]
    return ", ".join(parts) + "."


def _without_the_rest(batch: Batch) -> Batch:
    """How the store counts a batch that ended early: what did not run is CANCELED."""
    return replace(batch, canceled=batch.total - batch.completed - batch.failed, paused=0)


def _too_many(batch: Batch) -> str:
    left = batch.total - batch.settled - batch.paused
    rest = f"; {left} {'row was' if left == 1 else 'rows were'} not begun" if left else ""
    return f"The batch was ended: {passed_threshold(batch)}{rest}."
