"""JSON as text: strict when it is read, exact when it is written.

Values come back as they were: integers of any size up to 4,300 digits, NUL and lone surrogates included. What JSON
can't say (NaN, infinities) is refused both ways.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any

from rowel.core.errors import Invalid

#: How deep arrays and objects may nest in what users send.
MAX_DEPTH = 64
#: The interpreter's own limit on the digits of an integer.
MAX_DIGITS = 4300

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]|[0-9]+', re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read strict JSON. A byte order mark is skipped; of equal keys in one object the last wins.

    Raises `Invalid` with the line and column of what is wrong: bad UTF-8 or JSON, more than `max_depth` levels,
    numbers that no JSON number can hold again (NaN, 1e999), integers of more than 4,300 digits.
    """
    text = _decode(text)
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Invalid(f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep(text, max_depth) from None
    except ValueError:
        raise _too_long_a_number(text) from None
    if depth(value) > max_depth:
        raise _too_deep(text, max_depth)
    return value


def dump(value: Any, *, sort_keys: bool = False) -> str:
    """Write compact JSON in ASCII, which `parse` reads back as an equal value.

    Raises `Invalid` for NaN, infinities and anything that is not a JSON value.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, sort_keys=sort_keys)
    except RecursionError:
        raise Invalid("the value is nested too deep to be written as JSON") from None
    except (TypeError, ValueError) as error:
        raise Invalid(f"the value can't be written as JSON: {error}") from None


def fingerprint(value: Any) -> str:
    """A hash that equal JSON values share, in whatever order their keys come. Raises like `dump`."""
    return hashlib.sha256(dump(value, sort_keys=True).encode()).hexdigest()


def depth(value: Any) -> int:
    """How many arrays and objects enclose the innermost value: 0 for a scalar, 1 for `[]`."""
    levels = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        levels += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return levels


def check_text(value: Any, what: str, limit: int) -> str:
    """Return `value` if it is fit to be a name: text of at most `limit` characters that can be shown and stored.

    `what` names it in the message. Raises `Invalid` for anything but text, and for control characters (NUL first of
    all) and lone surrogates in it. Empty text passes.
    """
    if not isinstance(value, str):
        raise Invalid(f"{what} must be text, not {kind(value)}")
    if len(value) > limit:
        raise Invalid(f"{what} has {len(value):,} characters; the limit is {limit:,}")
    if found := _CONTROL.search(value):
        raise Invalid(
            f"{what} contains the control character U+{ord(found[0]):04X} at position {found.start()}"
        )
    if found := _LONE_SURROGATE.search(value):
        raise Invalid(
            f"{what} contains a lone surrogate at position {found.start()}: it is not valid Unicode"
        )
    return value


def kind(value: Any) -> str:
    """The JSON word for what a value is, for messages: "an object", "a list", "text", "null", ..."""
    for types, word in _KINDS:
        if isinstance(value, types):
            return word
    return type(value).__name__


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "true or false"),
    (int, "an integer"),
    (float, "a number"),
    (str, "text"),
    (dict, "an object"),
    ((list, tuple), "a list"),
)


def _decode(text: str | bytes) -> str:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Invalid(f"not valid UTF-8: {error.reason} at byte {error.start}") from None
    return text.removeprefix("\ufeff")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Invalid(f"not valid JSON: the number {text[:40]} is too large")
    return number


def _refuse_constant(word: str) -> Any:
    raise Invalid(f"not valid JSON: {word} is not a JSON value")


def _too_deep(text: str, max_depth: int) -> Invalid:
    level = 0
    for token in _TOKEN.finditer(text):
        level += (token[0] in "[{") - (token[0] in "]}")
        if level > max_depth:
            return Invalid(f"JSON nested deeper than {max_depth} levels at {_position(text, token.start())}")
    return Invalid(f"JSON nested deeper than {max_depth} levels")


def _too_long_a_number(text: str) -> Invalid:
    for token in _TOKEN.finditer(text):
        if token[0][0].isdigit() and len(token[0]) > MAX_DIGITS:
            where = _position(text, token.start())
            return Invalid(f"an integer of {len(token[0]):,} digits at {where}; the limit is {MAX_DIGITS:,}")
    return Invalid("not valid JSON")


def _position(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"
