"""The types of fields and parameters, with their limits."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from rowel.core.errors import Invalid
from rowel.core.jsontext import check_text, kind

LONGEST_TEXT = 10_000
LONGEST_WAIT_S = 86_400.0

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?([Zz]|[+ -]\d\d:?\d\d)?")
_NO_CONTROLS = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"


def _object(value: Any) -> dict[str, Any]:
    """Any object, its keys and values as they are: even those that Pydantic would not take for text."""
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {kind(value)}")
    return value


def _objects(value: Any) -> dict[str, Any]:
    for name, item in _object(value).items():
        if not isinstance(item, dict):
            raise ValueError(f"what is given for {name[:128]!r} must be an object, not {kind(item)}")
    return dict(value)


def _name(value: str) -> str:
    if not _text(value).strip():
        raise ValueError("must not be blank")
    return value


def _text(value: str) -> str:
    try:
        return check_text(value, "the text", LONGEST_TEXT)
    except Invalid as error:
        raise ValueError(error.message) from None


def _none_if_empty(value: str | None) -> str | None:
    return value or None


#: A JSON object that passes unchanged.
Object = Annotated[dict[str, Any], PlainValidator(_object), WithJsonSchema({"type": "object"})]
#: {node id: {field: value}}
ObjectsByNode = Annotated[
    dict[str, Any],
    PlainValidator(_objects),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "object"}}),
]
#: A name that people give: one line, not blank.
Name = Annotated[
    str,
    AfterValidator(_name),
    Field(min_length=1, max_length=LONGEST_TEXT, json_schema_extra={"pattern": _NO_CONTROLS}),
]
#: What people write at length. Nothing written is nothing.
Remark = Annotated[str | None, Field(max_length=LONGEST_TEXT), AfterValidator(_none_if_empty)]


def _first_moment(text: Any) -> datetime:
    return _moment(text, time.min)


def _last_moment(text: Any) -> datetime:
    return _moment(text, time.max)


def _moment(text: Any, of_day: time) -> datetime:
    """A moment of RFC 3339, in UTC where it says no offset; of a date alone the given time of that day."""
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), of_day, UTC)
        if not _MOMENT.fullmatch(text):
            raise ValueError(text)
        # A plus that was not escaped arrives as a space.
        escaped = re.sub(r" (?=\d\d:?\d\d$)", "+", text) if len(text) > 19 else text
        found = datetime.fromisoformat(escaped.upper())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date or a time of RFC 3339, such as 2026-01-31T12:00:00Z") from None


_MOMENT_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
)
#: From this moment on; a date alone means its begin.
Since = Annotated[datetime, BeforeValidator(_first_moment), _MOMENT_SCHEMA]
#: Up to this moment; a date alone means its end.
Until = Annotated[datetime, BeforeValidator(_last_moment), _MOMENT_SCHEMA]


def _seconds(value: float) -> float:
    if not math.isfinite(value) or not 0 < value <= LONGEST_WAIT_S:
        raise ValueError(f"must be more than 0 and at most {LONGEST_WAIT_S:g} seconds")
    return value


Seconds = Annotated[
    float,
    AfterValidator(_seconds),
    Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": LONGEST_WAIT_S}),
]
