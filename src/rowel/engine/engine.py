"""The engine: everything that can be asked of workflows, runs, pauses, datasets and files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rowel.core.outcomes import Fields
from rowel.core.records import Dataset, Event, OutputFile, Pause, Version, Workflow
from rowel.core.status import PauseAction
from rowel.engine import reads
from rowel.engine.batches import Batches, BatchWish
from rowel.engine.cancels import Cancels
from rowel.engine.decisions import Decisions
from rowel.engine.house import House
from rowel.engine.listening import Listening
from rowel.engine.lock import DataDirectoryLock
from rowel.engine.observer import Waiting
from rowel.engine.once import Command, Once, Receipts, Reply
from rowel.engine.pruning import Pruned, Pruning
from rowel.engine.redrives import Redrive, Redrives
from rowel.engine.reruns import Order, Rerun, Reruns
from rowel.engine.rowdecisions import RowDecisions, Verdict, Wish
from rowel.engine.shelves import Shelves
from rowel.engine.standings import Standing, standing_of
from rowel.engine.starts import Starts
from rowel.engine.timers import Timers
from rowel.engine.views import RunView
from rowel.engine.workflows import KEEP, Keep
from rowel.files.rows import Row
from rowel.files.tables import OutputFormat
from rowel.files.uploads import Upload
from rowel.nodes.registry import Registry
from rowel.store.runs import Filter

if TYPE_CHECKING:
    from rowel.engine.cluster.cluster import Cluster


class Engine:
    """One engine on one database. Build it with `compose.build_engine`, then `open` it and `close` it at the end."""

    def __init__(  # noqa: PLR0913  # one part for each kind of command
        self,
        *,
        house: House,
        registry: Registry,
        starts: Starts,
        reruns: Reruns,
        batches: Batches,
        decisions: Decisions,
        cancels: Cancels,
        receipts: Receipts,
        shelves: Shelves,
        timers: Timers,
        lock: DataDirectoryLock | None,
        closers: Sequence[Any],
        cluster: Cluster | None = None,
    ) -> None:
        self.registry = registry
        self._house = house
        self._starts = starts
        self._reruns = reruns
        self._batches = batches
        self._decisions = decisions
        self._row_decisions = RowDecisions(house, decisions)
        self._redrives = Redrives(house, batches)
        self._cancels = cancels
        self._receipts = receipts
        self._shelves = shelves
        self._timers = timers
        self._lock = lock
        self._closers = closers
        self._cluster = cluster

    async def open(self, url: str | None = None) -> None:
        """Lock the data directory, migrate, take up open runs. `url` is where others may find this engine.

        One of many locks nothing; one that only works waits until another one has migrated.
        """
        if self._lock is not None:
            self._lock.acquire(url)
        try:
            self._house.database.hold(shares=self._cluster is not None)
            if self._cluster is not None and self._cluster.only_works:
                await self._cluster.wait_for_tables()
            else:
                self._house.database.migrate()
            if self._cluster is not None:
                await self._cluster.open()
            await self._timers.start()
        except BaseException:
            await self.close()
            raise

    async def drain(self, *, at_once: bool = False) -> None:
        """Start nothing more, let running tasks end (`at_once`: interrupt them) and write what they gave. Reads go
        on."""
        if self._cluster is not None:
            self._cluster.stop()
        await self._timers.close()
        await self._house.dispatch.close(at_once=at_once)
        await self._house.cache.close()

    async def close(self, *, at_once: bool = False) -> None:
        """Let running tasks end (`at_once`: interrupt them), write what they gave, and let go of everything. Runs stay
        open."""
        await self.drain(at_once=at_once)
        if self._cluster is not None:
            await self._cluster.close()
        for closer in self._closers:
            await closer.close()
        await self._house.database.close()
        if self._lock is not None:
            self._lock.release()

    def now(self) -> datetime:
        return self._house.now()

    def store_trouble(self) -> str | None:
        """Why the store can't be written or read, by the last try; None while both work."""
        return self._house.database.trouble

    async def trouble(self) -> str | None:
        """Why this process can't do its work now: the store can't be used, or no worker is alive. None: it can."""
        trouble = await self._house.database.look()
        if trouble is None and self._cluster is not None and not await self._cluster.count_workers():
            return "No worker is alive: runs are accepted and wait. Start `rowel worker`."
        return trouble

    async def waiting(self, most: int) -> Waiting:
        """What waits and moves at this moment; runs and pauses are counted up to `most`."""
        return await reads.waiting(self._house, most)

    async def create_workflow(self, name: str, definition: Any, description: str | None = None) -> Workflow:
        """Check and keep a workflow. Raises `InvalidDefinition` with every problem."""
        return await self._house.workflows.create(name, definition, description)

    async def update_workflow(
        self, workflow_id: str, name: str, definition: Any, description: str | Keep | None
    ) -> Workflow:
        """Replace a workflow. Runs that have begun keep their version."""
        return await self._house.workflows.update(workflow_id, name, definition, description)

    async def get_workflow(self, workflow_id: str) -> Workflow:
        return await self._house.workflows.get(workflow_id)

    async def list_workflows(self, *, limit: int, offset: int = 0) -> list[Workflow]:
        """Workflows, newest first."""
        return await self._house.workflows.newest(limit=limit, offset=offset)

    async def delete_workflow(self, workflow_id: str) -> None:
        """Take a workflow off the shelf; its runs stay."""
        await self._house.workflows.delete(workflow_id)

    async def duplicate_workflow(self, workflow_id: str) -> Workflow:
        return await self._house.workflows.duplicate(workflow_id)

    async def list_versions(self, workflow_id: str, *, limit: int = 100, offset: int = 0) -> list[Version]:
        """A workflow's versions, newest first."""
        return await self._house.workflows.versions(workflow_id, limit=limit, offset=offset)

    async def output_variables(self, workflow_id: str) -> list[dict[str, Any]]:
        return await self._house.workflows.output_variables(workflow_id)

    async def do_once(self, once: Once, command: Command) -> Reply:
        """Do what a request with a key asks for, unless it was done in the last 24 hours: then answer again as then.

        The command hands `once` on to one of the methods here that take it. Raises what the command raises,
        `InProgress` while the first request is worked on, `KeyReused` where the first one asked for something else.
        """
        return await self._receipts.do(once, command)

    async def run(
        self,
        workflow_id: str,
        initial_inputs: Mapping[str, Any] | None,
        *,
        parent_run_id: str | None = None,
        files: Mapping[str, Sequence[str]] | None = None,
        timeout_s: float = 300.0,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Run and return when the run rests (ended or PAUSED), or after `timeout_s` seconds as it is then.

        The nodes of a `fresh` run don't ask the step cache; what they give replaces what is there.
        """
        return await self._starts.run(
            workflow_id,
            initial_inputs,
            parent_run_id=parent_run_id,
            files=files,
            timeout_s=timeout_s,
            fresh=fresh,
            once=once,
        )

    async def start(
        self,
        workflow_id: str,
        initial_inputs: Mapping[str, Any] | None,
        *,
        parent_run_id: str | None = None,
        files: Mapping[str, Sequence[str]] | None = None,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Accept a run and return at once; it is in the store and will end."""
        return await self._starts.start(
            workflow_id, initial_inputs, parent_run_id=parent_run_id, files=files, fresh=fresh, once=once
        )

    async def run_partial(
        self,
        workflow_id: str,
        node_id: str,
        initial_inputs: Mapping[str, Any] | None = None,
        partial_outputs: Mapping[str, Fields] | None = None,
        *,
        timeout_s: float = 300.0,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Run one node and those of its ancestors that have no given outputs."""
        return await self._starts.run_partial(
            workflow_id, node_id, initial_inputs, partial_outputs, timeout_s=timeout_s, fresh=fresh, once=once
        )

    async def rerun(self, run_id: str, order: Order, *, once: Once | None = None) -> RunView:
        """Accept a run that repeats an ended one, with what the order wants to be different, and return at once."""
        return await self._reruns.rerun(run_id, order, once=once)

    async def plan_rerun(self, run_id: str, order: Order) -> Rerun:
        """What such a rerun would run, and what it would reuse. Starts nothing."""
        return await self._reruns.plan(run_id, order)

    async def start_batch(  # noqa: PLR0913  # the words of a batch
        self,
        workflow_id: str,
        dataset_id: str,
        mini_batch_size: int = 10,
        *,
        column_map: Mapping[str, str] | None = None,
        failure_threshold: Mapping[str, Any] | None = None,
        canary: int | None = None,
        fresh: bool = False,
        once: Once | None = None,
    ) -> RunView:
        """Accept a batch: one run per row of a dataset, `mini_batch_size` of them in flight.

        `column_map` is {field: column}, `failure_threshold` {count, percent, after}; `canary` rows are tried first.
        """
        wish = BatchWish(
            window=mini_batch_size,
            column_map=column_map or {},
            threshold=failure_threshold,
            canary=canary,
            fresh=fresh,
        )
        return await self._batches.start(workflow_id, dataset_id, wish, once=once)

    async def get_batch(self, run_id: str) -> Standing:
        """How a batch stands. Raises `NotFound`, also for a run that is no batch."""
        return await standing_of(self._house, run_id)

    async def adjust_batch(
        self,
        run_id: str,
        *,
        mini_batch_size: int | None = None,
        failure_threshold: Mapping[str, Any] | Keep | None = KEEP,
    ) -> Standing:
        """Change how an open batch goes on. Raises `Conflict` where it has ended."""
        return await self._batches.adjust(run_id, window=mini_batch_size, threshold=failure_threshold)

    async def redrive_batch(self, run_id: str, wish: Redrive, *, once: Once | None = None) -> RunView:
        """Accept a batch that runs some rows of an ended one again; its output holds all rows."""
        return await self._redrives.redrive(run_id, wish, once=once)

    async def decide(
        self,
        run_id: str,
        action: PauseAction,
        inputs: Fields,
        user_id: str,
        comments: str | None = None,
        *,
        node_id: str | None = None,
        once: Once | None = None,
    ) -> RunView:
        """Answer the oldest open pause of a run, or that of `node_id`. Exactly one answer wins."""
        return await self._decisions.decide(
            run_id, action, inputs, user_id, comments, node_id=node_id, once=once
        )

    async def decide_rows(self, run_id: str, wish: Wish, *, once: Once | None = None) -> Verdict:
        """Answer the pauses of many rows of a batch alike; each row is decided, or refused, by itself."""
        return await self._row_decisions.decide(run_id, wish, once)

    async def cancel(self, run_id: str) -> RunView:
        """Cancel an open run with everything it owns."""
        return await self._cancels.cancel(run_id)

    async def get_run(self, run_id: str) -> RunView:
        return await reads.get_run(self._house, run_id)

    async def list_runs(self, wanted: Filter, *, limit: int, offset: int = 0) -> list[RunView]:
        """The runs that fit, newest start first."""
        return await reads.list_runs(self._house, wanted, limit=limit, offset=offset)

    async def paused(self, *, limit: int, offset: int = 0) -> list[tuple[RunView, Pause]]:
        """Runs that wait for a person, each with its oldest open pause, newest first."""
        return await reads.list_paused(self._house, limit=limit, offset=offset)

    async def pause_history(self, run_id: str) -> list[Pause]:
        """All pauses a run ever had, newest first."""
        return await reads.pause_history(self._house, run_id)

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """A run's events after number `after`, until it has ended."""
        async with aclosing(self.listen(run_id, after).groups()) as groups:
            async for group in groups:
                for event in group:
                    yield event

    def listen(self, run_id: str, after: int = 0, silence_s: float | None = None) -> Listening:
        """The same in groups, with an empty one after each `silence_s` seconds in which nothing happened."""
        return Listening(self._house, run_id, after, silence_s)

    async def check_run(self, run_id: str) -> None:
        """Raises `NotFound` where there is no such run."""
        await reads.find_run(self._house, run_id)

    def all_events(self) -> AsyncIterator[tuple[str, Event]]:
        """Live events of all runs as (run id, event), without replay."""
        return reads.all_events(self._house)

    async def add_dataset(
        self, name: str, description: str | None, filename: str, stream: AsyncIterator[bytes]
    ) -> Dataset:
        """Keep a dataset. Raises `InvalidDataset` where it can't be read, `TooLarge` past the limit."""
        return await self._shelves.add_dataset(name, description, filename, stream)

    async def get_dataset(self, dataset_id: str) -> Dataset:
        return await self._shelves.get_dataset(dataset_id)

    async def preview_dataset(self, dataset_id: str, *, start: int = 0, limit: int = 20) -> list[Row]:
        """Some rows of a dataset from number `start` on."""
        return await self._shelves.preview(dataset_id, start, limit)

    async def list_datasets(self, *, limit: int | None = None, offset: int = 0) -> list[Dataset]:
        """Datasets, newest first."""
        return await self._shelves.list_datasets(limit=limit, offset=offset)

    async def delete_dataset(self, dataset_id: str) -> None:
        """Forget a dataset and its file. Raises `Conflict` while a batch reads it."""
        await self._shelves.delete_dataset(dataset_id)

    async def get_output_file(self, file_id: str) -> OutputFile:
        return await self._shelves.get_output_file(file_id)

    async def list_output_files(self, *, limit: int | None = None, offset: int = 0) -> list[OutputFile]:
        """Output files, newest first."""
        return await self._shelves.list_output_files(limit=limit, offset=offset)

    async def delete_output_file(self, file_id: str) -> None:
        """Forget an output file. Raises `Conflict` while its batch is open."""
        await self._shelves.delete_output_file(file_id)

    async def open_output(
        self, file_id: str, kind: OutputFormat = OutputFormat.JSONL
    ) -> tuple[OutputFile, AsyncIterator[bytes]]:
        """An output file's bytes, in this format. Raises `Conflict` naming the batch's status while it is open, and
        `Invalid` where a table would have too many columns."""
        return await self._shelves.open_output(file_id, kind)

    async def add_file(self, filename: str, media_type: str | None, stream: AsyncIterator[bytes]) -> Upload:
        """Keep a file for `files` inputs."""
        return await self._shelves.add_file(filename, media_type, stream)

    async def open_file(self, path: str) -> tuple[Upload, AsyncIterator[bytes]]:
        return await self._shelves.open_file(path)

    async def delete_file(self, path: str) -> None:
        await self._shelves.delete_file(path)

    async def prune(self, older_than: timedelta, *, dry_run: bool = False) -> Pruned:
        """Remove runs that ended so long ago, with all that belongs to them, and what nobody refers to any more.

        Open runs and what they need stay, and so do workflows, datasets and uploads. One call works for about ten
        seconds and says whether it is complete; with `dry_run` it counts and removes nothing. Raises `Unavailable`.
        """
        pruning = Pruning(self._house, self._house.now() - older_than)
        return await (pruning.weigh() if dry_run else pruning.run())
