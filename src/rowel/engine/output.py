"""Renders a batch's output file from its rows, so writing it twice gives the same bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rowel.core import jsontext
from rowel.core.records import OutputFile, Run, RunID, Task
from rowel.core.status import RunStatus
from rowel.engine.house import House
from rowel.engine.views import outputs_of
from rowel.files.outputs import write_lines
from rowel.store import runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Rows read at a time.
CHUNK = 200


async def write_output(house: House, file: OutputFile, batch_id: RunID) -> OutputFile:
    """Write the whole file; it appears at once."""
    await write_lines(house.files, file.key, lines(house, batch_id))
    return replace(file, is_ready=True, updated_at=max(file.created_at, house.now()))


async def lines(house: House, batch_id: RunID) -> AsyncIterator[str]:
    """One line of JSON per row that has a run, in row order."""
    start = 0
    while True:
        found = await house.database.read(lambda connection: _read(connection, batch_id, start))  # noqa: B023  # read at once
        for run, tasks in found:
            yield line_of(run, tasks)
        if len(found) < CHUNK:
            return
        start = (found[-1][0].row_index or 0) + 1


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
