"""Datasets: what they look like, and their rows as a stream."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from rowel.core.errors import InvalidDataset
from rowel.files import csv_rows, jsonl_rows, parquet_rows
from rowel.files.lines import Lines
from rowel.files.names import extension
from rowel.files.rows import MAX_COLUMNS, MAX_ROWS, Row
from rowel.files.store import FileStore

#: Rows between two remembered offsets.
STRIDE = 10_000
#: Rows handed on at a time.
CHUNK = 256


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
    """Columns, rows, and the byte offsets of rows 0, 10,000, 20,000, ... (none for Parquet)."""

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
    """Read the whole file once. Raises `InvalidDataset` naming the line that can't be read."""
    return await asyncio.to_thread(_inspect, store, key, kind)


async def rows(
    store: FileStore,
    key: str,
    kind: DatasetFormat,
    *,
    start: int = 0,
    offsets: Sequence[int] = (),
    columns: Sequence[str] = (),
) -> AsyncIterator[list[Row]]:
    """The rows from number `start` on, in chunks, read in a thread as they are asked for."""
    reading = _rows(store, key, kind, start, offsets, tuple(columns))
    try:
        while chunk := await asyncio.to_thread(_next, reading):
            yield chunk
    finally:
        reading.close()


def _next(reading: Iterator[Row]) -> list[Row]:
    return list(islice(reading, CHUNK))


def _inspect(store: FileStore, key: str, kind: DatasetFormat) -> DatasetShape:
    if kind is DatasetFormat.PARQUET:
        with _local(store, key) as path:
            columns, count = parquet_rows.shape(path)
            _check_count(count)
            for _ in parquet_rows.rows(path, 0, count):
                pass
        return DatasetShape(columns, count)
    return _inspect_lines(Lines(store.blocks(key)), kind)


def _inspect_lines(lines: Lines, kind: DatasetFormat) -> DatasetShape:
    columns: dict[str, None] = {}
    reading = jsonl_rows.rows(lines, 0)
    if kind is DatasetFormat.CSV:
        columns = dict.fromkeys(csv_rows.header(lines))
        reading = csv_rows.rows(lines, tuple(columns), 0)
    offsets = [lines.offset]
    count = 0
    for row in reading:
        count += 1
        if kind is DatasetFormat.JSONL:
            columns.update(dict.fromkeys(row.values))
        if count % STRIDE == 0:
            offsets.append(lines.offset)
            _check_count(count)
    _check_count(count)
    if not columns:
        raise InvalidDataset("The file is empty: it has no rows.")
    if len(columns) > MAX_COLUMNS:
        raise InvalidDataset(f"The file has {len(columns)} columns; the limit is {MAX_COLUMNS}.")
    return DatasetShape(tuple(columns), count, tuple(offsets))


def _rows(
    store: FileStore,
    key: str,
    kind: DatasetFormat,
    start: int,
    offsets: Sequence[int],
    columns: tuple[str, ...],
) -> Generator[Row, None, None]:
    if kind is DatasetFormat.PARQUET:
        with _local(store, key) as path:
            yield from parquet_rows.rows(path, start, parquet_rows.shape(path)[1])
        return
    stride = min(start // STRIDE, len(offsets) - 1) if offsets else 0
    offset = offsets[stride] if offsets else 0
    lines = Lines(store.blocks(key, offset), offset)
    if kind is DatasetFormat.CSV:
        names = columns if offset else csv_rows.header(lines)
        reading = csv_rows.rows(lines, names, stride * STRIDE)
    else:
        reading = jsonl_rows.rows(lines, stride * STRIDE)
    yield from (row for row in reading if row.index >= start)


@contextmanager
def _local(store: FileStore, key: str) -> Iterator[Path]:
    """The file on this machine's disk; a copy where it lies elsewhere."""
    if store.is_local:
        yield store.local_path(key)
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        for block in store.blocks(key):
            copy.write(block)
        copy.flush()
        yield Path(copy.name)


def _check_count(count: int) -> None:
    if count > MAX_ROWS:
        raise InvalidDataset(f"The file has more than {MAX_ROWS} rows, which is the limit.")
