"""Takes runs over from the store: after a crash, after a decision, when their turn has come."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rowel.core.errors import NotFound
from rowel.core.limits import Limit
from rowel.core.outcomes import Usage
from rowel.core.records import Batch, Pause, Run, RunID, Task, Version, VersionID
from rowel.core.status import RunStatus
from rowel.engine import facts
from rowel.engine.batch import BatchJob
from rowel.engine.batches import Batches
from rowel.engine.cancels import Cancels
from rowel.engine.dispatch import Mover
from rowel.engine.house import House
from rowel.engine.owners import wake_owner
from rowel.engine.patience import until_back
from rowel.engine.progress import Answer
from rowel.engine.reads import find_run
from rowel.engine.restore import Restoration, first_reasons, latest_time
from rowel.engine.runner import Means, News, Runner
from rowel.engine.views import outputs_of, usage_of
from rowel.store import lanes, pauses, runs, workflows
from rowel.store.journal import Changes, Rest, Taken

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

#: Makes what moves a batch.
MakeBatchMover = Callable[[BatchJob], Mover]

#: Versions whose limits are remembered.
MOST_LIMITS = 10_000

T = TypeVar("T")

Found = tuple[Run, Version, list[Task], list[Pause], Batch | None]


class Takeovers:
    """Makes movers for runs that the store holds."""

    _house: House
    _batches: Batches
    _batch_mover: MakeBatchMover

    def join(self, house: House, batches: Batches, means: Means, batch_mover: MakeBatchMover) -> None:
        """Hand over the parts that themselves need this one."""
        self._house = house
        self._batches = batches
        self._means = means
        self._batch_mover = batch_mover
        self._limits: dict[VersionID, Limit] = {}

    async def take(self, run_id: RunID) -> Mover | None:
        """Raise the run's epoch and make its mover. None where it has no work or has ended."""
        found = await self._claim(run_id)
        if found is None:
            return None
        run, _, _, _, batch = found
        if batch is not None:
            return await self._move_batch(run)
        return self._runner(found)

    async def take_row(self, run_id: RunID) -> Runner | None:
        """The same for a row of a batch, which its batch moves."""
        found = await self._claim(run_id)
        return None if found is None else self._runner(found)

    async def _claim(self, run_id: RunID) -> Found | None:
        before, fresh = await self._read(lambda connection: _look(connection, run_id))
        if before is None or before.status.is_final or not before.has_work:
            return None
        if not await self._may_begin(before, fresh):
            return None
        told = [facts.of_run(before, RunStatus.RUNNING)] if fresh else []
        taken = await self._house.journal.take(run_id, told)
        if taken is None:
            return None
        if told:
            self._house.publish(run_id, taken.seq, told)
        elif self._house.observer is not None:
            self._house.observer.taken_up(run_id)
        found = None if fresh is None else _begun(fresh, taken)
        if found is None:
            found = await self._read(lambda connection: _read(connection, run_id))
        run = found[0]
        if run.recoveries > self._house.upkeep.recoveries and not await self._has_workers(run):
            await self._give_up(run)
            return None
        return found

    async def _may_begin(self, run: Run, fresh: Found | None) -> bool:
        """Whether its workflow's limit lets it be taken over. Batches are not counted, and neither are runs inside."""
        if run.output_file_id is not None or run.owner_path is not None:
            return True
        version = fresh[1] if fresh is not None else None
        return await self._house.dispatch.admit(run, await self._limit(run.version_id, version))

    async def _limit(self, version_id: VersionID, version: Version | None) -> Limit:
        """What runs of a version may do together."""
        known = self._limits.get(version_id)
        if known is None:
            if version is None:
                version = await self._read(lambda connection: workflows.get_version(connection, version_id))
            assert version is not None
            known = self._house.workflows.pin(version).program.limit
            if len(self._limits) >= MOST_LIMITS:
                self._limits.clear()
            self._limits[version_id] = known
        return known

    async def _has_workers(self, run: Run) -> bool:
        owned, count = await self._read(
            lambda connection: (runs.open_owned(connection, run.id), lanes.count(connection, run.id))
        )
        return count > 0 or any(child.has_work for child in owned)

    async def _give_up(self, run: Run) -> None:
        message = (
            f"The run was taken up {self._house.upkeep.recoveries} times and the server ended each time before the run "
            "did; it is not tried again."
        )
        log.error("run %s: %s", run.id, message)
        await self.fail(run, message)

    async def fail(self, run: Run, message: str) -> None:
        """End a run from outside, with what it owns."""
        await until_back(lambda: self._fail(run, message))

    async def _fail(self, run: Run, message: str) -> None:
        await Cancels(self._house).cancel_owned(run, message)
        run = await find_run(self._house, run.id)
        end = run.ended_at(self._house.now())
        rest = Rest(status=RunStatus.FAILED, message=message, end_time=end, signals=run.signals)
        told = [facts.of_run(run, rest.status, message)]
        seq = await self._house.journal.rest(run, Changes(facts=told), rest)
        if seq is not None:
            self._house.publish(run.id, seq, told)
        await wake_owner(self._house, run)

    async def _move_batch(self, run: Run) -> Mover | None:
        try:
            job = await until_back(lambda: self._batches.job(run))
        except NotFound as error:
            await self.fail(run, f"The batch could not go on: {error.message}")
            return None
        return self._batch_mover(job)

    def _runner(self, found: Found) -> Runner:
        run, version, tasks, open_pauses, _ = found
        program = self._house.workflows.pin(version).program
        restoration = Restoration(run, program, tasks, open_pauses)
        root = restoration.root()
        runner = Runner(self._means, run, root)
        runner.progress.latest = latest_time(run, tasks)
        runner.progress.failure, runner.progress.refusal = first_reasons(tasks)
        runner.progress.usage = usage_of(tasks) or Usage()
        restoration.reopen(runner.progress, root)
        return runner

    async def read_news(self, run: Run, paused: list[str], waiting: list[str]) -> News | None:
        """The run as it is now, with what became of the tasks that wait for people and for child runs."""

        def query(connection: Connection) -> News | None:
            seen = runs.get(connection, run.id)
            if seen is None:
                return None
            wanted = set(paused)
            tasks = runs.get_tasks(connection, run.id) if wanted else []
            answers = [Answer(task.path, task=task) for task in tasks if task.path in wanted]
            answers += [self._child_answer(connection, run, path) for path in waiting]
            return News(seen, answers)

        return await self._read(query)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await until_back(lambda: self._house.database.read(query))

    def _child_answer(self, connection: Connection, run: Run, path: str) -> Answer:
        child = runs.child_of(connection, run.id, path)
        if child is None or not child.status.is_final:
            return Answer(path, child=child)
        version = workflows.get_version(connection, child.version_id)
        assert version is not None
        program = self._house.workflows.pin(version).program
        tasks = runs.get_tasks(connection, child.id)
        return Answer(
            path,
            child=child,
            child_outputs=outputs_of(tasks),
            child_output_id=program.graph.output_id,
            child_usage=usage_of(tasks),
        )

    async def tell_owner(self, run: Run) -> None:
        """A run that others wait for came to rest: wake its owner, or the batch that moves its owner."""
        await until_back(lambda: wake_owner(self._house, run))


def _look(connection: Connection, run_id: RunID) -> tuple[Run | None, Found | None]:
    """The run, and all that belongs to it where nobody has moved it yet."""
    run = runs.get(connection, run_id)
    is_fresh = run is not None and run.status is RunStatus.PENDING and run.has_work
    return run, _read(connection, run_id, run) if is_fresh else None


def _begun(fresh: Found, taken: Taken) -> Found | None:
    """What was read before the run was taken, as it is since then. None where anything else came in between."""
    run, version, tasks, paused, batch = fresh
    if taken != Taken(run.seq + 1, run.epoch + 1, run.signals):
        return None
    run = run.evolve(status=RunStatus.RUNNING, seq=taken.seq, epoch=taken.epoch)
    return run, version, tasks, paused, batch


def _read(connection: Connection, run_id: RunID, run: Run | None = None) -> Found:
    run = run or runs.get(connection, run_id)
    assert run is not None
    version = workflows.get_version(connection, run.version_id)
    assert version is not None
    return (
        run,
        version,
        runs.get_tasks(connection, run_id),
        pauses.open_of_run(connection, run_id),
        runs.get_batch(connection, run_id) if run.is_batch else None,
    )
