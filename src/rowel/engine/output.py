"""Renders the lines of a batch's output file from its rows, the same ones each time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from rowel.core import jsontext
from rowel.core.errors import NotFound
from rowel.core.records import OutputFile, Run, RunID, Task
from rowel.core.status import RunStatus
from rowel.engine.house import House
from rowel.engine.views import outputs_of
from rowel.files.outputs import read_lines
from rowel.store import datasets, runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Rows read at a time.
CHUNK = 200


#: What is told of a row that no run was made of.
NEVER_RUN = "The row was not run."

#: Rows in order, each as its number and its line.
Numbered = AsyncGenerator[tuple[int, str], None]


async def lines(house: House, run: Run) -> AsyncIterator[str]:
    """One line of JSON per row that has a run, in row order; of a redriven batch one for each row of the dataset."""
    async for _, line in numbered(house, run):
        yield line


async def numbered(house: House, run: Run, start: int = 0) -> Numbered:
    """The same with their numbers, from row `start` on."""
    own = _own(house, run, start)
    if run.origin_id is not None:
        batch = await house.database.read(lambda connection: runs.get_batch(connection, run.id))
        total = 0 if batch is None else batch.dataset_rows
        own = merged(own, _earlier(house, run.origin_id), range(start, total))
    async for pair in own:
        yield pair


async def _own(house: House, run: Run, start: int) -> Numbered:
    """The rows from `start` on that the batch itself has begun."""
    while True:
        found = await house.database.read(lambda connection: _read(connection, run.id, start))  # noqa: B023  # read at once
        for row, tasks in found:
            yield row.row_index or 0, line_of(row, tasks)
        if len(found) < CHUNK:
            return
        start = (found[-1][0].row_index or 0) + 1


async def _earlier(house: House, origin_id: RunID) -> Numbered:
    """What the batch before gave, by its file where it has one: that has a line for each row of the dataset."""
    run, file = await house.database.read(lambda connection: _find(connection, origin_id))
    if run is None:
        return
    written = _written(house, file) if file is not None and file.is_ready else None
    first = None
    if written is not None:
        with suppress(NotFound):
            first = await anext(written, None)
    if written is None or first is None:
        async for pair in numbered(house, run):
            yield pair
        return
    yield first
    async for pair in written:
        yield pair


async def _written(house: House, file: OutputFile) -> Numbered:
    number = 0
    async for line in read_lines(house.files, file.key):
        yield number, line
        number += 1


async def merged(newer: Numbered, older: Numbered, rows: range) -> Numbered:
    """A line for each of the rows: the newer one where there is one, else the older one, else that it never ran."""
    news, olds = Reading(newer), Reading(older)
    for row in rows:
        new, old = await news.at(row), await olds.at(row)
        yield row, new or old or jsontext.dump({"error": NEVER_RUN, "row_index": row, "run_id": None})


class Reading:
    """Reads numbered lines by ascending number."""

    def __init__(self, pairs: Numbered) -> None:
        self._pairs = pairs
        self._next: tuple[int, str] | None = (-1, "")

    async def at(self, row: int) -> str | None:
        """The line with this number; None where there is none."""
        while self._next is not None and self._next[0] < row:
            self._next = await anext(self._pairs, None)
        return self._next[1] if self._next is not None and self._next[0] == row else None


def _find(connection: Connection, run_id: RunID) -> tuple[Run | None, OutputFile | None]:
    run = runs.get(connection, run_id)
    file_id = None if run is None else run.output_file_id
    return run, None if file_id is None else datasets.get_output_file(connection, file_id)


def _read(connection: Connection, batch_id: RunID, start: int) -> list[tuple[Run, list[Task]]]:
    found = runs.rows_of(connection, batch_id, start, CHUNK)
    tasks = runs.get_tasks_of(connection, [run.id for run in found])
    return [(run, tasks[run.id]) for run in found]


def line_of(run: Run, tasks: list[Task]) -> str:
    """A row's outputs by node id, or its error record."""
    if run.status is not RunStatus.COMPLETED:
        error = run.message or f"The row's run is {run.status}."
        return jsontext.dump({"error": error, "row_index": run.row_index, "run_id": run.id})
    return jsontext.dump(outputs_of(tasks))
