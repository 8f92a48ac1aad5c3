"""Rows of a CSV file: exact text, no guessing. The first row names the columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from rowel.core.errors import InvalidDataset
from rowel.files.lines import Lines
from rowel.files.rows import MAX_COLUMNS, MAX_FIELD, Row, count

csv.field_size_limit(MAX_FIELD)


def header(lines: Lines) -> tuple[str, ...]:
    """The column names; an empty one is a column that nobody can ask for.

    Spreadsheets and data frames write those (an index, columns deleted on the right). Raises `InvalidDataset` where
    there is no name, or one twice.
    """
    for _, cells in _records(lines):
        names = tuple(cell.strip() for cell in cells)
        _check_names(names)
        return names
    raise InvalidDataset("The file is empty: it has no header. A CSV file begins with a row of column names.")


def rows(lines: Lines, columns: tuple[str, ...], index: int) -> Iterator[Row]:
    """The rows from where `lines` stands; `index` is the number of the first."""
    for number, cells in _records(lines):
        if len(cells) != len(columns):
            raise InvalidDataset(
                f"{lines.place(number)} has {count(len(cells), 'cell')}, "
                f"and the header has {count(len(columns), 'column')}."
            )
        values = {name: cell for name, cell in zip(columns, cells, strict=True) if name}
        yield Row(index, values, lines.row_size)
        index += 1


def _records(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """Records with the number of the line on which they begin; blank lines are passed over."""
    reader = csv.reader(iter(lines), strict=True)
    while True:
        lines.begin_row()
        begin = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidDataset(_explain(error, lines.place(begin))) from None
        if cells is None:
            return
        if cells:
            yield begin, cells


def _explain(error: csv.Error, place: str) -> str:
    text = str(error)
    if "field limit" in text:
        return f"{place} has a cell of more than {MAX_FIELD:,} characters. Is a quote left open?"
    if "unexpected end" in text:
        return f"{place} opens a quote that is never closed."
    return f"{place} is not CSV: text follows a closing quote. A quote within a quoted cell is written twice."


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise InvalidDataset(f"The file has {count(len(names), 'column')}; the limit is {MAX_COLUMNS:,}.")
    if not any(names):
        raise InvalidDataset("The first row names no column. A CSV file begins with a row of column names.")
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if "\0" in name:
            raise InvalidDataset(f"The name of column {place} holds a NUL. Save the file as UTF-8.")
        if name in seen and name:
            raise InvalidDataset(f"The column {name[:100]!r} is there twice.")
        seen.add(name)
