"""The filters and tests a template has: Jinja's own where they can't grow, ours where they could."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import filters as jinja
from jinja2 import tests
from jinja2.runtime import Context
from jinja2.utils import pass_context, url_quote
from markupsafe import escape

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.core.templating.meter import Meter, check_items, check_length, meter_of
from rowel.core.templating.values import format_text, show, to_json

Function = Callable[..., Any]
_MAX_WIDTH = 10_000


def replace(meter: Meter, text: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = show(text, meter), show(old, meter), show(new, meter)
    times = text.count(old) if count is None else min(count, text.count(old))
    check_length(len(text) + max(times, 0) * (len(new) - len(old)))
    return text.replace(old, new, -1 if count is None else count)


def join(meter: Meter, items: Iterable[Any], separator: Any = "", attribute: str | int | None = None) -> str:
    """Join the items' texts; with `attribute`, the texts of that part of each."""
    if attribute is not None:
        items = [_part(item, attribute) for item in items]
    texts = [show(item, meter) for item in items]
    separator = show(separator, meter)
    check_length(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _part(item: Any, path: str | int) -> Any:
    for name in str(path).split("."):
        item = item[int(name) if isinstance(item, list | tuple) else name]
    return item


def indent(meter: Meter, text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = show(text, meter)
    space = width if isinstance(width, str) else " " * _width(width)
    lines = text.split("\n")
    check_length(len(text) + len(space) * len(lines))
    rest = [f"{space}{line}" if line or blank else line for line in lines[1:]]
    return "\n".join([f"{space}{lines[0]}" if first else lines[0], *rest])


def pad(method: Callable[[str, int, str], str]) -> Function:
    """`center`, `ljust` and `rjust` with a width that is bounded."""

    def padded(meter: Meter, text: Any, width: int = 80, fill: str = " ") -> str:
        return method(show(text, meter), _width(width), fill)

    return padded


def zfill(meter: Meter, text: Any, width: int) -> str:
    return show(text, meter).zfill(_width(width))


def _width(width: Any) -> int:
    if not isinstance(width, int) or width > _MAX_WIDTH:
        raise Invalid(f"a width is a number up to {_MAX_WIDTH:,}")
    return width


def strip_tags(meter: Meter, text: Any) -> str:
    """Drop `<...>` and runs of white space."""
    head, *parts = show(text, meter).split("<")
    kept = [behind if tag else f"<{part}" for part in parts for _, tag, behind in [part.partition(">")]]
    return " ".join("".join([head, *kept]).split())


def format_(meter: Meter, pattern: Any, *arguments: Any, **named: Any) -> str:
    if arguments and named:
        raise Invalid("format takes positional or named values, not both")
    return format_text(show(pattern, meter), named or arguments, meter)


def from_json(meter: Meter, text: Any) -> Any:
    """Read JSON text; a value that is none passes as it is."""
    return jsontext.parse(text) if isinstance(text, str) else text


def sum_(meter: Meter, items: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    if not isinstance(start, int | float):
        raise Invalid("sum adds numbers only")
    return sum((item if attribute is None else _part(item, attribute) for item in items), start)


def round_(meter: Meter, value: Any, precision: int = 0, method: Any = "common") -> float:
    if not isinstance(precision, int) or abs(precision) > 300:
        raise Invalid("round takes a precision from -300 to 300")
    return jinja.do_round(value, precision, method)


def batch(meter: Meter, items: Any, size: int, fill: Any = None) -> Any:
    check_items(_width(size))
    return jinja.do_batch(items, size, fill)


def slice_(meter: Meter, items: Any, slices: int, fill: Any = None) -> Any:
    check_items(_width(slices))
    return jinja.sync_do_slice(items, slices, fill)


def word_wrap(meter: Meter, text: Any, width: int = 79, break_long_words: bool = True) -> str:
    text = show(text, meter)
    meter.spend(len(text) // 4)
    wrapped = []
    for line in text.splitlines():
        wrapped.append(_wrap(line, max(1, _width(width)), break_long_words))
    return "\n".join(wrapped)


def _wrap(line: str, width: int, break_long_words: bool) -> str:
    lines, room = [""], width
    for word in re.findall(r"\s*\S+", line):
        while len(word) > room and (lines[-1] or (break_long_words and len(word) > width)):
            if not lines[-1]:
                lines[-1], word = word[:width], word[width:]
            lines.append("")
            word, room = word.lstrip(), width
        lines[-1] += word
        room -= len(word)
    return "\n".join(lines)


def _text(function: Callable[[str], Any]) -> Function:
    return lambda meter, value, *arguments: function(show(value, meter), *arguments)


def _plain(function: Function) -> Function:
    return lambda meter, *arguments, **named: function(*arguments, **named)


#: Ours: called with the meter first.
_OWN: Mapping[str, Function] = {
    "batch": batch,
    "capitalize": _text(str.capitalize),
    "center": pad(str.center),
    "e": _text(lambda text: str(escape(text))),
    "escape": _text(lambda text: str(escape(text))),
    "format": format_,
    "from_json": from_json,
    "fromjson": from_json,
    "indent": indent,
    "join": join,
    "list": _plain(list),
    "lower": _text(str.lower),
    "replace": replace,
    "round": round_,
    "safe": _plain(lambda value: value),
    "slice": slice_,
    "string": lambda meter, value: show(value, meter),
    "striptags": strip_tags,
    "sum": sum_,
    "title": _text(jinja.do_title),
    "tojson": lambda meter, value, indent=None: to_json(value, meter, indent),
    "trim": _text(str.strip),
    "upper": _text(str.upper),
    "urlencode": _text(url_quote),
    "wordcount": _text(lambda text: len(text.split())),
    "wordwrap": word_wrap,
}
#: Jinja's, by what they take before the value.
_JINJA_PLAIN = ("abs", "count", "d", "default", "filesizeformat", "float", "int", "items", "length", "reverse")
_JINJA_ENVIRONMENT = ("dictsort", "first", "groupby", "last", "max", "min", "sort", "truncate", "unique")
_JINJA_CONTEXT = ("map", "reject", "rejectattr", "select", "selectattr")
#: These look at the value's outside only.
_SHALLOW = frozenset(
    {"count", "length", "d", "default", "first", "last", "list", "items", "reverse", "batch", "slice", "safe"}
    | set(_JINJA_CONTEXT)
)


def _metered(function: Function, shallow: bool, first: str) -> Function:
    """Pay for the arguments, call, and take the result in."""

    @pass_context
    def call(context: Context, *arguments: Any, **named: Any) -> Any:
        meter = meter_of(context)
        pay = meter.read if shallow else meter.walk
        for argument in (*arguments, *named.values()):
            pay(argument)
        leading = {"meter": meter, "environment": context.environment, "context": context}
        given = (leading[first], *arguments) if first else arguments
        return meter.admit(function(*given, **named))

    return call


def _all_filters() -> dict[str, Function]:
    found = {name: _metered(own, name in _SHALLOW, "meter") for name, own in _OWN.items()}
    for names, first in ((_JINJA_PLAIN, ""), (_JINJA_ENVIRONMENT, "environment"), (_JINJA_CONTEXT, "context")):
        found |= {name: _metered(jinja.FILTERS[name], name in _SHALLOW, first) for name in names}
    return found


FILTERS: Mapping[str, Function] = _all_filters()
#: `filter` and `test` ask which filters there are; `defined` and its kin look at nothing.
_TESTS_WITH_ENVIRONMENT = ("filter", "test")
TESTS: Mapping[str, Function] = {
    name: function
    if name in ("defined", "undefined", "none", *_TESTS_WITH_ENVIRONMENT)
    else _metered(function, False, "")
    for name, function in tests.TESTS.items()
    if name != "callable"
}

