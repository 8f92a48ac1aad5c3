"""Starts batches over datasets, and changes how they go on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rowel.core.errors import Conflict, InvalidInputs, NotFound
from rowel.core.records import Batch, Dataset, DatasetID, OutputFile, OutputFileID, Run, RunID
from rowel.core.selections import Selection
from rowel.core.status import RunStatus, RunType
from rowel.core.thresholds import FailureThreshold
from rowel.engine import facts
from rowel.engine.batch import BatchJob
from rowel.engine.house import House
from rowel.engine.ids import new_id
from rowel.engine.once import Once
from rowel.engine.output import lines
from rowel.engine.programs import Program
from rowel.engine.reads import find_dataset
from rowel.engine.standings import Standing, find_batch, standing_of
from rowel.engine.views import RunView, view
from rowel.engine.workflows import Keep, Pinned
from rowel.files.outputs import write_lines
from rowel.store import datasets, runs, workflows
from rowel.store.journal import Changes

#: Rows of one batch that may be in flight.
MAX_WINDOW = 10_000


@dataclass(frozen=True, kw_only=True)
class BatchWish:
    """How a batch is to run, as it was asked for."""

    #: How many rows may be in flight.
    window: int = 10
    #: {field of the input node: column} where they are not called alike.
    column_map: Mapping[str, str] = field(default_factory=dict)
    #: {count, percent, after}: how many rows may fail.
    threshold: Mapping[str, Any] | None = None
    #: How many rows are tried before somebody is asked about the others.
    canary: int | None = None
    #: Its rows don't ask the step cache.
    fresh: bool = False

    def options(self) -> dict[str, Any]:
        """What of it the batch keeps as plain JSON. Raises `InvalidInputs`."""
        check_window(self.window)
        if self.canary is not None and self.canary < 1:
            raise InvalidInputs("canary must be at least 1.")
        asked = None if self.threshold is None else FailureThreshold.asked(self.threshold).write()
        kept = {"column_map": dict(self.column_map), "threshold": asked}
        return {name: value for name, value in kept.items() if value}


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows of an ended batch that run again."""

    origin_id: RunID
    selection: Selection


class Batches:
    """The commands about batches, and what their movers need."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def start(
        self, workflow_id: str, dataset_id: str, wish: BatchWish, *, once: Once | None = None
    ) -> RunView:
        """Accept a batch. Raises `NotFound`, and `InvalidInputs` naming the columns that the dataset lacks."""
        pinned = await self._house.workflows.current(workflow_id)
        return await self.accept(pinned, await find_dataset(self._house, dataset_id), wish, once=once)

    async def accept(
        self,
        pinned: Pinned,
        dataset: Dataset,
        wish: BatchWish,
        part: Part | None = None,
        *,
        once: Once | None = None,
    ) -> RunView:
        """Accept a batch on a version; `part` says which rows of another one it runs again."""
        wish.options()
        check_columns(pinned.program, dataset, wish.column_map)
        self._house.dispatch.check_room()
        run, batch, file = self._new(pinned, dataset, wish)
        if part is not None:
            run = run.evolve(origin_id=part.origin_id)
            options = {**batch.options, "dataset_rows": dataset.rows}
            batch = replace(
                batch, total=part.selection.size, selection=part.selection.ranges, options=options
            )
        told = [facts.of_run(run, run.status, run.message)]
        if not run.has_work:
            await write_lines(self._house.files, file.key, lines(self._house, run))
        seen = view(run, pinned.version, [], pinned.program, batch)
        receipt = once.answered(seen, run.start_time) if once else None
        changes = Changes(facts=told, receipt=receipt)
        await self._house.journal.begin(run, changes, batch=batch, output_file=file)
        self._house.publish(run.id, len(told), told)
        if run.has_work:
            self._house.dispatch.submit(run.id)
        return seen

    def _new(self, pinned: Pinned, dataset: Dataset, wish: BatchWish) -> tuple[Run, Batch, OutputFile]:
        now, file_id = self._house.now(), OutputFileID(new_id())
        is_empty = dataset.rows == 0
        run = pinned.new_run(
            RunType.BATCH, now, input_dataset_id=dataset.id, output_file_id=file_id, has_work=not is_empty
        ).evolve(is_fresh=wish.fresh)
        if is_empty:
            run = run.evolve(status=RunStatus.COMPLETED, end_time=now, message="0 of 0 rows completed.")
        batch = Batch(
            run_id=run.id,
            dataset_id=dataset.id,
            total=dataset.rows,
            window=wish.window,
            options=wish.options(),
            canary=wish.canary,
        )
        file = OutputFile(
            id=file_id,
            run_id=run.id,
            file_name=f"batch_{run.id}.jsonl",
            key=f"outputs/{file_id}.jsonl",
            is_ready=is_empty,
            created_at=now,
            updated_at=now,
        )
        return run, batch, file

    async def adjust(
        self, run_id: str, *, window: int | None, threshold: Mapping[str, Any] | Keep | None
    ) -> Standing:
        """Change how many rows of an open batch may be in flight and how many may fail (None: all).

        Raises `NotFound`, `InvalidInputs`, and `Conflict` where the batch has ended.
        """
        run, batch = await find_batch(self._house, run_id)
        if run.status.is_final:
            raise _ended(run)
        if window is not None:
            check_window(window)
        options = None
        if not isinstance(threshold, Keep):
            asked = None if threshold is None else FailureThreshold.asked(threshold).write()
            options = {**batch.options, "threshold": asked}
        seq = await self._house.journal.adjust(run.id, [], window=window, options=options)
        if seq is None:
            raise _ended((await find_batch(self._house, run_id))[0])
        self._house.dispatch.wake(run)
        return await standing_of(self._house, run_id)

    async def job(self, run: Run) -> BatchJob:
        """What the mover of this batch needs. Raises `NotFound` where its dataset is gone."""
        dataset = await find_dataset(self._house, run.input_dataset_id or DatasetID(""))
        found = await self._house.database.read(
            lambda connection: (
                runs.get_batch(connection, run.id),
                datasets.get_output_file(connection, run.output_file_id or ""),
                workflows.get_version(connection, run.version_id),
            )
        )
        batch, file, version = found
        if batch is None or file is None or version is None:
            raise NotFound(f"The batch {run.id} has lost its output file's record.")
        return BatchJob(
            run=run, batch=batch, dataset=dataset, file=file, pinned=self._house.workflows.pin(version)
        )


def check_window(window: int) -> None:
    """Raise `InvalidInputs` unless so many rows may be in flight."""
    if not 1 <= window <= MAX_WINDOW:
        raise InvalidInputs(f"mini_batch_size must be from 1 to {MAX_WINDOW}.")


def check_columns(program: Program, dataset: Dataset, column_map: Mapping[str, str]) -> None:
    """Raise `InvalidInputs` naming the required fields that no column gives, and what is mapped but not there."""
    schema = program.nodes[program.input_id].input_schema
    _check_map(column_map, dataset, None if schema is None else schema.fields)
    given = {*dataset.columns, *column_map}
    lacking = sorted(schema.required - given) if schema is not None else []
    if lacking and (dataset.rows or dataset.columns):
        names = ", ".join(lacking)
        raise InvalidInputs(
            f"The dataset {dataset.id} lacks the columns {names}, which node {program.input_id!r} requires."
        )


def _check_map(column_map: Mapping[str, str], dataset: Dataset, fields: Collection[str] | None) -> None:
    for name, column in column_map.items():
        if column not in dataset.columns:
            raise InvalidInputs(
                f"column_map: the dataset {dataset.id} has no column {column[:128]!r}, which field {name[:128]!r} "
                "is to be filled from."
            )
        if fields and name not in fields:
            raise InvalidInputs(f"column_map: the input node declares no field {name[:128]!r}.")


def _ended(run: Run) -> Conflict:
    return Conflict(f"The batch {run.id} is {run.status} and can't be changed.", "already_ended")
