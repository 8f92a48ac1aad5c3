"""Starts batches over datasets."""

from __future__ import annotations

from rowel.core.errors import InvalidInputs, NotFound
from rowel.core.records import Batch, Dataset, DatasetID, OutputFile, OutputFileID, Run
from rowel.core.status import RunStatus, RunType
from rowel.engine import facts
from rowel.engine.batch import BatchJob
from rowel.engine.house import House
from rowel.engine.ids import new_id
from rowel.engine.output import write_output
from rowel.engine.programs import Program
from rowel.engine.reads import find_dataset
from rowel.engine.views import RunView, view
from rowel.engine.workflows import Pinned
from rowel.store import datasets, runs, workflows
from rowel.store.journal import Changes

#: Rows of one batch that may be in flight.
MAX_WINDOW = 10_000


class Batches:
    """The commands that make batches, and what their movers need."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def start(self, workflow_id: str, dataset_id: str, mini_batch_size: int) -> RunView:
        """Accept a batch. Raises `NotFound`, and `InvalidInputs` naming the columns that the dataset lacks."""
        pinned = await self._house.workflows.current(workflow_id)
        dataset = await find_dataset(self._house, dataset_id)
        if not 1 <= mini_batch_size <= MAX_WINDOW:
            raise InvalidInputs(f"mini_batch_size must be from 1 to {MAX_WINDOW}.")
        check_columns(pinned.program, dataset)
        self._house.dispatch.check_room()
        run, batch, file = self._new(pinned, dataset, mini_batch_size)
        told = [facts.of_run(run, run.status, run.message)]
        if not run.has_work:
            await write_output(self._house, file, run.id)
        await self._house.journal.begin(run, Changes(facts=told), batch=batch, output_file=file)
        self._house.publish(run.id, len(told), told)
        if run.has_work:
            self._house.dispatch.submit(run.id)
        return view(run, pinned.version, [], pinned.program, batch)

    def _new(self, pinned: Pinned, dataset: Dataset, window: int) -> tuple[Run, Batch, OutputFile]:
        now, file_id = self._house.now(), OutputFileID(new_id())
        is_empty = dataset.rows == 0
        run = pinned.new_run(
            RunType.BATCH, now, input_dataset_id=dataset.id, output_file_id=file_id, has_work=not is_empty
        )
        if is_empty:
            run = run.evolve(status=RunStatus.COMPLETED, end_time=now, message="0 of 0 rows completed.")
        batch = Batch(run_id=run.id, dataset_id=dataset.id, total=dataset.rows, window=window)
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


def check_columns(program: Program, dataset: Dataset) -> None:
    """Raise `InvalidInputs` naming the required fields that no column gives."""
    schema = program.nodes[program.input_id].input_schema
    lacking = sorted(schema.required - set(dataset.columns)) if schema is not None else []
    if lacking and (dataset.rows or dataset.columns):
        names = ", ".join(lacking)
        raise InvalidInputs(
            f"The dataset {dataset.id} lacks the columns {names}, which node {program.input_id!r} requires."
        )
