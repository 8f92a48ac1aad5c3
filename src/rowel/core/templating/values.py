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

#: One directive of a printf-style format, with its width and its precision.
_DIRECTIVE = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|[0-9]*)(?:\.(\*|[0-9]*))?")
_MAX_WIDTH = 1000
_MAX_INDENT = 8


def show(value: Any, meter: Meter) -> str:
    """Text as it is, null as nothing, lists and objects as JSON, the rest as Python writes it (`True`, `1.5`)."""
    if value is None:
        return ""
    if isinstance(value, str | bool | int | float | Undefined):
        meter.read(value)
        return str(value)
    return to_json(value, meter)


def to_json(value: Any, meter: Meter, indent: int | None = None) -> str:
    """JSON as a person reads it: spaces behind commas, letters of all scripts as they are."""
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        raise Invalid(f"tojson takes an indent of 0 to {_MAX_INDENT}")
    meter.walk(value)
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=_refuse)
    return str(meter.admit(text))


def _refuse(value: Any) -> Any:
    if isinstance(value, Undefined):
        return str(value)
    raise Invalid("a function can't be printed: call it with parentheses, or print a field")


def apply(sign: str, left: Any, right: Any, meter: Meter) -> Any:
    """Do what a binary operator does, when its result stays within the limits."""
    for side in (left, right):
        if isinstance(side, Undefined):
            str(side)  # raises, naming what is missing
    if sign == "%" and isinstance(left, str):
        return format_text(left, right, meter)
    check = _CHECKS.get(sign)
    if check is not None:
        check(left, right)
    result = _OPERATORS[sign](left, right)
    if isinstance(result, int):
        check_bits(result.bit_length())
    meter.read(result)
    return result


def format_text(pattern: str, arguments: Any, meter: Meter) -> str:
    """Printf-style formatting, without widths that could fill the memory. Values are put in as `show` gives them."""
    directives = _DIRECTIVE.findall(pattern)
    widths = sum(_width(number) for numbers in directives for number in numbers if number)
    if isinstance(arguments, Mapping):
        given: Any = {name: _printable(value, meter) for name, value in arguments.items()}
        longest = max((len(str(value)) for value in given.values()), default=0)
        check_length(len(pattern) + widths + longest * len(directives))
    else:
        arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        given = tuple(_printable(value, meter) for value in arguments)
        check_length(len(pattern) + widths + sum(len(str(value)) for value in given))
    meter.read(pattern)
    return str(meter.admit(pattern % given))


def _width(text: str) -> int:
    if text == "*" or len(text) > 4 or int(text) > _MAX_WIDTH:
        raise Invalid(f"a format's width and precision are numbers up to {_MAX_WIDTH}")
    return int(text)


def _printable(value: Any, meter: Meter) -> Any:
    return value if isinstance(value, int | float) else show(value, meter)


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
    if isinstance(left, int) and isinstance(right, int) and right > 0:
        check_bits(left.bit_length() * right if abs(left) > 1 else 1)


#: Only these can give more than they take.
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
