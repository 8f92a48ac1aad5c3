"""Datasets: what they look like, and their rows as a stream."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rowel.core.errors import InvalidDataset
from rowel.files import csv_rows, jsonl_rows, parquet_check, parquet_rows
from rowel.files.lines import Lines
from rowel.files.names import extension
from rowel.files.refusals import cannot_read
from rowel.files.rows import MAX_COLUMNS, MAX_ROWS, Row
from rowel.files.store import FileStore
from rowel.files.threads import in_thread

#: Rows between two remembered offsets.
STRIDE = 10_000
#: Rows handed on at a time, and the bytes after which a chunk is full however few they are.
CHUNK = 256
CHUNK_BYTES = 1024 * 1024


class DatasetFormat(StrEnum):
    """How a dataset's file is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


_FORMATS = {
    ".csv": DatasetFormat.CSV,
    ".jsonl": DatasetFormat.JSONL,
    ".ndjson": DatasetFormat.JSONL,
    ".parquet": DatasetFormat.PARQUET,
}


@dataclass(frozen=True)
class DatasetShape:
    """Columns, rows, and the byte offsets of rows 0, 10,000, 20,000, ... (none for Parquet).

    A column of a CSV file that has no name is empty text here, and missing from the rows.
    """

    columns: tuple[str, ...]
    rows: int
    offsets: tuple[int, ...] = ()


def format_of(filename: str) -> DatasetFormat:
    """The format that a file name's extension says. Raises `InvalidDataset`."""
    found = _FORMATS.get(extension(filename))
    if found is None:
        known = ", ".join(sorted(_FORMATS))
        raise InvalidDataset(f"A dataset's file name must end in one of {known}; {filename[:100]!r} doesn't.")
    return found


async def inspect(store: FileStore, key: str, kind: DatasetFormat) -> DatasetShape:
    """Read the whole file once. Raises `InvalidDataset` naming the line that can't be read, and `NotFound`."""
    if kind is DatasetFormat.PARQUET:
        async with _on_disk(store, key) as path:
            return DatasetShape(*await parquet_check.check(path))
    survey = _Survey(Lines(store.blocks(key)), kind)
    # Step by step, so that other work gets its turn in the threads and a client that goes away ends this.
    while await in_thread(survey.goes_on):
        pass
    return survey.shape()


async def rows(
    store: FileStore,
    key: str,
    kind: DatasetFormat,
    *,
    start: int = 0,
    offsets: Sequence[int] = (),
    columns: Sequence[str] = (),
) -> AsyncIterator[list[Row]]:
    """The rows from number `start` on, in chunks, read in a thread as they are asked for.

    `offsets` and `columns` are those of the file's shape; with them, reading begins near `start`.
    """
    async with _reading(store, key, kind, start, offsets, tuple(columns)) as reading:
        while chunk := await in_thread(_next, reading):
            yield chunk


class _Survey:
    """One pass over a file of lines."""

    def __init__(self, lines: Lines, kind: DatasetFormat) -> None:
        self._lines = lines
        self._kind = kind
        self._columns: dict[str, None] = {}
        self._names: tuple[str, ...] = ()
        self._offsets: list[int] = []
        self._count = 0
        self._reading: Iterator[Row] | None = None

    def goes_on(self) -> bool:
        """Read some rows; False at the end of the file."""
        if self._reading is None:
            self._reading = self._begin()
        until = self._lines.offset + CHUNK_BYTES
        for row in self._reading:
            self._see(row)
            if self._lines.offset > until:
                return True
        return False

    def shape(self) -> DatasetShape:
        if self._kind is DatasetFormat.JSONL:
            if self._count == 0:
                raise InvalidDataset("The file is empty: it has no rows.")
            self._names = tuple(self._columns)
        return DatasetShape(self._names, self._count, tuple(self._offsets))

    def _begin(self) -> Iterator[Row]:
        if self._kind is DatasetFormat.CSV:
            self._names = csv_rows.header(self._lines)
        self._offsets.append(self._lines.offset)
        if self._kind is DatasetFormat.CSV:
            return csv_rows.rows(self._lines, self._names, 0)
        return jsonl_rows.rows(self._lines, 0)

    def _see(self, row: Row) -> None:
        self._count += 1
        if self._count > MAX_ROWS:
            raise InvalidDataset(f"The file has more than {MAX_ROWS:,} rows, which is the limit.")
        if self._kind is DatasetFormat.JSONL:
            self._columns.update(dict.fromkeys(row.values))
            if len(self._columns) > MAX_COLUMNS:
                raise InvalidDataset(f"The file has more than {MAX_COLUMNS:,} columns, which is the limit.")
        if self._count % STRIDE == 0:
            self._offsets.append(self._lines.offset)


@asynccontextmanager
async def _reading(
    store: FileStore,
    key: str,
    kind: DatasetFormat,
    start: int,
    offsets: Sequence[int],
    columns: tuple[str, ...],
) -> AsyncIterator[Iterator[Row]]:
    if kind is DatasetFormat.PARQUET:
        async with _on_disk(store, key) as path:
            yield parquet_rows.rows(path, start)
        return
    stride = min(start // STRIDE, len(offsets) - 1) if offsets else 0
    offset = offsets[stride] if offsets else 0
    lines = Lines(store.blocks(key, offset), offset)
    reading = _rows_of_lines(lines, kind, stride * STRIDE, columns if offset else ())
    yield (row for row in reading if row.index >= start)


def _rows_of_lines(lines: Lines, kind: DatasetFormat, index: int, columns: tuple[str, ...]) -> Iterator[Row]:
    """Without `columns`, a CSV file begins with its header."""
    if kind is DatasetFormat.JSONL:
        yield from jsonl_rows.rows(lines, index)
    else:
        yield from csv_rows.rows(lines, columns or csv_rows.header(lines), index)


def _next(reading: Iterator[Row]) -> list[Row]:
    chunk: list[Row] = []
    size = 0
    for row in reading:
        chunk.append(row)
        size += row.size
        if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
            break
    return chunk


@asynccontextmanager
async def _on_disk(store: FileStore, key: str) -> AsyncIterator[Path]:
    """The file on this machine's disk; a copy where it lies elsewhere."""
    path = store.local_path(key)
    if path is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="rowel-", suffix=".parquet") as copy:
        try:
            async for part in store.stream(key):
                await in_thread(copy.write, part)
            await in_thread(copy.flush)
        except OSError as error:
            raise cannot_read(f"its copy in {tempfile.gettempdir()}: {error.strerror}") from error
        yield Path(copy.name)
