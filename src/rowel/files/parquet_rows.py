"""Rows of a Parquet file, read in slices by Polars, which is imported when it is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rowel.core import jsontext
from rowel.core.errors import Invalid, InvalidDataset
from rowel.files.rows import MAX_COLUMNS, MAX_FIELD, MAX_ROWS, Row, count

if TYPE_CHECKING:
    import polars

#: Rows read at a time.
SLICE = 5_000
#: Rows turned into Python values at a time, while a slice is no larger than so many bytes; one by one beyond.
BUFFER = 256
WIDE = 16 * 1024 * 1024


def shape(path: Path) -> tuple[tuple[str, ...], int]:
    """Column names and the number of rows. Raises `InvalidDataset` for what is no Parquet file."""
    with _reading("The file can't be read as Parquet."):
        frame = _scan(path)
        columns = tuple(frame.collect_schema().names())
        number = _count(frame)
    if not columns:
        raise InvalidDataset("The file has no columns.")
    if len(columns) > MAX_COLUMNS:
        raise InvalidDataset(f"The file has {count(len(columns), 'column')}; the limit is {MAX_COLUMNS:,}.")
    if number > MAX_ROWS:
        raise InvalidDataset(f"The file has {number:,} rows; the limit is {MAX_ROWS:,}.")
    return columns, number


def rows(path: Path, start: int) -> Iterator[Row]:
    """The rows from number `start` on."""
    frame = _scan(path)
    with _reading("The file can't be read as Parquet."):
        total = _count(frame)
    for begin in range(start, total, SLICE):
        yield from _rows_of_slice(frame, begin)


def _rows_of_slice(frame: polars.LazyFrame, begin: int) -> Iterator[Row]:
    with _reading(f"The rows from {begin:,} on can't be read as Parquet."):
        found = frame.slice(begin, SLICE).collect()
        buffer = BUFFER if found.estimated_size() < WIDE else 1
        for place, cells in enumerate(found.iter_rows(buffer_size=buffer), start=begin):
            yield _row(place, found.columns, cells)


def _row(index: int, columns: list[str], cells: tuple[Any, ...]) -> Row:
    values, size = {}, 0
    for name, cell in zip(columns, cells, strict=True):
        values[name] = _plain(name, cell)
        size += _size_of(name, index, values[name])
    return Row(index, values, size)


def _size_of(name: str, index: int, value: Any) -> int:
    if value is None or isinstance(value, bool | int | float):
        return 8
    size = len(value) if isinstance(value, str) else _nested_size(name, index, value)
    if size > MAX_FIELD:
        raise InvalidDataset(
            f"Row {index:,}: the column {name[:100]!r} has more than {MAX_FIELD:,} characters, which is the limit."
        )
    return size


def _nested_size(name: str, index: int, value: Any) -> int:
    try:
        if jsontext.depth(value) > jsontext.MAX_DEPTH:
            raise Invalid(f"it nests deeper than {jsontext.MAX_DEPTH} levels")
        return len(jsontext.dump(value))
    except Invalid as error:
        raise InvalidDataset(f"Row {index:,}, column {name[:100]!r}: {error.message}.") from None


def _plain(name: str, value: Any) -> Any:
    """JSON's values: moments as ISO text, decimals as text, durations as seconds, NaN as null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case Mapping():
            return {str(key): _plain(name, item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(name, item) for item in value]
    raise InvalidDataset(
        f"The column {name[:100]!r} holds values of type {type(value).__name__}, which JSON lacks."
    )


def _scan(path: Path) -> polars.LazyFrame:
    import polars

    # Without `glob`, brackets in a directory's name are just brackets.
    return polars.scan_parquet(path, glob=False)


def _count(frame: polars.LazyFrame) -> int:
    import polars

    return int(frame.select(polars.len()).collect().item())


@contextmanager
def _reading(sentence: str) -> Iterator[None]:
    """Where Polars' ways to fail become one sentence: its errors, its panics, dates that Python lacks."""
    import polars

    try:
        yield
    except (
        polars.exceptions.PolarsError,
        polars.exceptions.PanicException,
        OSError,
        ValueError,
        OverflowError,
    ):
        raise InvalidDataset(sentence) from None
