"""Rows of a JSON Lines file: one object a line, values exactly as written."""

from __future__ import annotations

from collections.abc import Iterator

from rowel.core import jsontext
from rowel.core.errors import Invalid, InvalidDataset
from rowel.files.lines import Lines
from rowel.files.rows import MAX_COLUMNS, MAX_FIELD, Row


def rows(lines: Lines, index: int, first_line: int = 0) -> Iterator[Row]:
    """The rows from where `lines` stands; blank lines are passed over."""
    for line in lines:
        if not line.strip():
            continue
        yield Row(index, _object(line, first_line + lines.number))
        index += 1


def _object(line: str, number: int) -> dict[str, object]:
    try:
        value = jsontext.parse(line)
    except Invalid as error:
        raise InvalidDataset(f"Line {number} is not JSON: {error.message}") from None
    if not isinstance(value, dict):
        raise InvalidDataset(f"Line {number} must be a JSON object with one field per column.")
    if len(line) > MAX_FIELD:
        _check_fields(value, number)
    if len(value) > MAX_COLUMNS:
        raise InvalidDataset(f"Line {number} has {len(value)} fields; the limit is {MAX_COLUMNS}.")
    return value


def _check_fields(value: dict[str, object], number: int) -> None:
    for name, field in value.items():
        if len(jsontext.dump(field)) > MAX_FIELD:
            raise InvalidDataset(f"Line {number}: the field {name[:100]!r} is larger than {MAX_FIELD} bytes.")
