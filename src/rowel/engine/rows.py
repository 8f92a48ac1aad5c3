"""The rows that a batch runs, read from its dataset, and what its workflow receives of each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from rowel.core.errors import Invalid
from rowel.core.outcomes import Fields
from rowel.core.records import Batch, Dataset
from rowel.core.schemas import Schema
from rowel.core.selections import Selection
from rowel.engine.programs import Program
from rowel.files.datasets import DatasetFormat, rows
from rowel.files.rows import Row
from rowel.files.store import FileStore

#: Rows between two that are wanted, from which on it is quicker to begin to read anew.
FAR = 20_000


class RowReader:
    """Makes a dataset's rows into fields of the input node."""

    def __init__(self, program: Program, dataset: Dataset, batch: Batch) -> None:
        self._schema: Schema | None = program.nodes[program.input_id].input_schema
        self._is_text = DatasetFormat(dataset.format) is DatasetFormat.CSV
        self._columns = batch.column_map

    def fields(self, row: Row) -> dict[str, Any]:
        """The fields that the schema declares, or all columns where it declares none."""
        if self._schema is None or not self._schema.fields:
            return self._renamed(row.values)
        columns = {name: self._columns.get(name, name) for name in self._schema.fields}
        found = {name: row.values[column] for name, column in columns.items() if column in row.values}
        return (
            {name: _cell(self._schema, name, value) for name, value in found.items()}
            if self._is_text
            else found
        )

    def _renamed(self, values: Fields) -> dict[str, Any]:
        """All values, those of mapped columns under the name of their field."""
        mapped = {name: values[column] for name, column in self._columns.items() if column in values}
        used = set(self._columns.values())
        return {**{name: value for name, value in values.items() if name not in used}, **mapped}


def _cell(schema: Schema, name: str, text: Any) -> Any:
    """A cell by its declared type; one that doesn't fit stays text, and the input node refuses it."""
    try:
        return schema.from_cell(name, text)
    except Invalid:
        return text


async def selected_rows(
    files: FileStore, dataset: Dataset, selection: Selection, start: int
) -> AsyncGenerator[Row, None]:
    """The rows of a selection from number `start` on, in order. What lies far between them is not read.

    Raises `InvalidDataset` and `NotFound`.
    """
    wanted = selection.next_from(start)
    while wanted is not None:
        begin, wanted = wanted, None
        async with aclosing(rows_from(files, dataset, begin)) as stream:
            async for row in stream:
                following = selection.next_from(row.index)
                if following == row.index:
                    yield row
                elif following is None:
                    break
                elif following - row.index > FAR:
                    wanted = following
                    break


async def rows_from(files: FileStore, dataset: Dataset, start: int) -> AsyncGenerator[Row, None]:
    """All rows of a dataset from number `start` on. Raises `InvalidDataset` and `NotFound`."""
    chunks: AsyncIterator[list[Row]] = rows(
        files,
        dataset.key,
        DatasetFormat(dataset.format),
        start=start,
        offsets=dataset.offsets,
        columns=dataset.columns,
    )
    async for chunk in chunks:
        for row in chunk:
            yield row
