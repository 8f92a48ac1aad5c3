"""Rows of a CSV file: exact text, no guessing. The first row names the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from rowel.core.errors import InvalidDataset
from rowel.files.lines import Lines
from rowel.files.rows import MAX_COLUMNS, MAX_FIELD, Row

csv.field_size_limit(MAX_FIELD)


def header(lines: Lines) -> tuple[str, ...]:
    """The column names. Raises `InvalidDataset` where there are none, or one twice."""
    for _, cells in _records(lines):
        names = tuple(name.strip() for name in cells)
        _check_names(names)
        return names
    raise InvalidDataset("The file is empty: a CSV file begins with a row of column names.")


def rows(lines: Lines, columns: tuple[str, ...], index: int, first_line: int = 0) -> Iterator[Row]:
    """The rows from where `lines` stands; `index` is the number of the first."""
    for number, cells in _records(lines, first_line):
        if len(cells) != len(columns):
            raise InvalidDataset(
                f"Line {number} has {len(cells)} cells, and the header has {len(columns)} columns."
            )
        yield Row(index, dict(zip(columns, cells, strict=True)))
        index += 1


def _records(lines: Lines, first_line: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Records with the number of the line on which they end; blank lines are passed over."""
    reader = csv.reader(iter(lines), strict=True)
    try:
        for cells in reader:
            if cells:
                yield first_line + lines.number, cells
    except csv.Error as error:
        raise InvalidDataset(f"Line {first_line + lines.number} is not CSV: {error}.") from None


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise InvalidDataset(f"The file has {len(names)} columns; the limit is {MAX_COLUMNS}.")
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name:
            raise InvalidDataset(f"Column {place} has no name in the first row.")
        if name in seen:
            raise InvalidDataset(f"The column {name[:100]!r} is there twice.")
        seen.add(name)
