"""Rows of a Parquet file, read in slices by Polars, which is imported when it is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rowel.core.errors import InvalidDataset
from rowel.files.rows import MAX_COLUMNS, Row

#: Rows read at a time.
SLICE = 5_000


def shape(path: Path) -> tuple[tuple[str, ...], int]:
    """Column names and the number of rows. Raises `InvalidDataset` for what is no Parquet file."""
    import polars

    try:
        frame = polars.scan_parquet(path)
        columns = tuple(frame.collect_schema().names())
        count = int(frame.select(polars.len()).collect().item())
    except (polars.exceptions.PolarsError, OSError, BaseException) as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InvalidDataset("The file can't be read as Parquet.") from None
    if len(columns) > MAX_COLUMNS:
        raise InvalidDataset(f"The file has {len(columns)} columns; the limit is {MAX_COLUMNS}.")
    return columns, count


def rows(path: Path, start: int, total: int) -> Iterator[Row]:
    """The rows from number `start` on."""
    import polars

    for begin in range(start, total, SLICE):
        try:
            found = polars.scan_parquet(path).slice(begin, SLICE).collect().to_dicts()
        except (polars.exceptions.PolarsError, OSError):
            raise InvalidDataset(f"The rows from {begin} on can't be read as Parquet.") from None
        for place, values in enumerate(found):
            yield Row(begin + place, {name: _plain(name, value) for name, value in values.items()})


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
        f"The column {name!r} holds values of type {type(value).__name__}, which JSON lacks."
    )
