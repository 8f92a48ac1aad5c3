"""What values become when a template prints them, and what the operators do to them."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.runtime import Undefined

from rowel.core.errors import Invalid
from rowel.core.templating.meter import Meter, check_bits, check_items, check_length

_WIDTH = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?")
_MAX_WIDTH = 1000


def show(value: Any, meter: Meter) -> str:
    """Text as it is, null as nothing, lists and objects as JSON, the rest as Python says it (`True`, `1.5`)."""
    if isinstance(value, str):
        meter.read(value)
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        meter.spend()
        return str(value)
    if isinstance(value, Undefined):
        return str(value)
    return to_json(value, meter)


def to_json(value: Any, meter: Meter, indent: int | None = None) -> str:
    """JSON text as a person reads it: spaces after commas, letters of all scripts as they are."""
    if indent is not None and not 0 <= indent <= 8:
        raise Invalid("tojson takes an indent of 0 to 8")
    meter.walk(value)
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_refuse)
    meter.read(text)
    check_length(len(text))
    return text


def _refuse(value: Any) -> Any:
    if isinstance(value, Undefined):
        return str(value)
    raise Invalid("a function can't be printed: call it with parentheses, or print a field")


def apply(sign: str, left: Any, right: Any, meter: Meter) -> Any:
    """Do what a binary operator does, when its result stays within the limits."""
    if isinstance(left, Undefined) or isinstance(right, Undefined):
        return _OPERATORS[sign](left, right)
    _CHECKS.get(sign, _no_check)(left, right)
    if sign == "%" and isinstance(left, str):
        return format_text(left, right, meter)
    return meter.admit(_OPERATORS[sign](left, right))


def format_text(pattern: str, arguments: Any, meter: Meter) -> str:
    """Printf-style formatting without widths that could fill the memory."""
    for found in _WIDTH.finditer(pattern):
        for number in found.groups():
            if number == "*" or (number and (len(number) > 4 or int(number) > _MAX_WIDTH)):
                raise Invalid(f"a format's width and precision are numbers up to {_MAX_WIDTH}")
    meter.walk(arguments)
    meter.read(pattern)
    size = len(pattern) + pattern.count("%") * (_MAX_WIDTH if any(map(str.isdigit, pattern)) else 0)
    check_length(min(size, len(pattern)))
    text: str = meter.admit(pattern % arguments)
    return text


def _check_times(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        check_bits(left.bit_length() + right.bit_length())
    for value, count in ((left, right), (right, left)):
        if isinstance(value, str) and isinstance(count, int):
            check_length(len(value) * count)
        elif isinstance(value, list | tuple) and isinstance(count, int):
            check_items(len(value) * count)


def _check_plus(left: Any, right: Any) -> None:
    if isinstance(left, str) and isinstance(right, str):
        check_length(len(left) + len(right))
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        check_items(len(left) + len(right))


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and right > 0 and abs(left) > 1:
        check_bits(left.bit_length() * right)


def _no_check(left: Any, right: Any) -> None:
    """These operators give nothing larger than they take."""


_CHECKS: Mapping[str, Callable[[Any, Any], None]] = {"*": _check_times, "+": _check_plus, "**": _check_power}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "**": operator.pow,
    "%": operator.mod,
}
