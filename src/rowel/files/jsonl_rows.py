"""Rows of a JSON Lines file: one object a line, values exactly as written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Invalid, InvalidDataset
from rowel.files.lines import Lines
from rowel.files.rows import MAX_COLUMNS, MAX_FIELD, Row, count


def rows(lines: Lines, index: int) -> Iterator[Row]:
    """The rows from where `lines` stands; blank lines are passed over."""
    for line in lines:
        if line.strip():
            yield Row(index, _object(line.rstrip("\r\n"), lines.place(lines.number)), lines.row_size)
            index += 1
        lines.begin_row()


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        value = jsontext.parse(line)
    except Invalid as error:
        # The text is one line, so what counts is the column.
        why = error.message.removeprefix("not valid JSON: ").replace("line 1, column", "column")
        raise InvalidDataset(f"{place} is not JSON: {why}") from None
    if not isinstance(value, dict):
        raise InvalidDataset(f"{place} must be a JSON object with one field per column.")
    if len(value) > MAX_COLUMNS:
        raise InvalidDataset(f"{place} has {count(len(value), 'field')}; the limit is {MAX_COLUMNS:,}.")
    if len(line) > MAX_FIELD:
        _check_fields(value, place)
    return value


def _check_fields(value: dict[str, Any], place: str) -> None:
    for name, field in value.items():
        if len(field if isinstance(field, str) else jsontext.dump(field)) > MAX_FIELD:
            raise InvalidDataset(
                f"{place}: the field {name[:100]!r} has more than {MAX_FIELD:,} characters, which is the limit."
            )
