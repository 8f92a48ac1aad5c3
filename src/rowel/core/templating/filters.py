"""The filters and tests a template has: Jinja's own where they can't grow, ours where they could.

Left out: `random` (a replay must give the same), `pprint`, `attr`, `xmlattr`, `urlize`, `forceescape`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any, cast

from jinja2 import filters as jinja
from jinja2 import tests
from jinja2.runtime import Context
from jinja2.utils import pass_context
from markupsafe import escape

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.core.templating import texts
from rowel.core.templating.meter import check_items, meter_of
from rowel.core.templating.values import to_json

Function = Callable[..., Any]
_MAX_PRECISION = 300


def from_json(text: Any) -> Any:
    """Read JSON text; a value that is none passes as it is."""
    return jsontext.parse(text) if isinstance(text, str) else text


def add_up(items: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    """The sum of numbers; lists are not added, since that takes the square of their length."""
    if not isinstance(start, int | float):
        raise Invalid("sum adds numbers only")
    return sum((item if attribute is None else texts.part(item, attribute) for item in items), start)


def round_to(value: Any, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > _MAX_PRECISION:
        raise Invalid(f"round takes a precision up to {_MAX_PRECISION}")
    return jinja.do_round(value, precision, method)


def in_batches(items: Any, size: int, fill: Any = None) -> Any:
    check_items(texts.check_width(size))
    return jinja.do_batch(items, size, fill)


def in_slices(items: Any, count: int, fill: Any = None) -> Any:
    check_items(texts.check_width(count))
    return jinja.sync_do_slice(items, count, fill)


def to_list(items: Any) -> Any:
    if isinstance(items, str):
        check_items(len(items))
    return list(items)


def _of_text(function: Callable[..., Any]) -> Function:
    """A function of text, for whatever value."""
    return lambda meter, value, *rest: function(texts.slow(value, meter, texts.CHANGED), *rest)


def _slowly_of_text(function: Callable[..., Any]) -> Function:
    return lambda meter, value: function(texts.slow(value, meter))


def _escape(text: str) -> str:
    return str(escape(text))


def _from_jinja(*names: str) -> dict[str, Function]:
    return {name: cast(Function, jinja.FILTERS[name]) for name in names}


#: Ours that are given the meter first.
_WITH_METER: Mapping[str, Function] = {
    "capitalize": _of_text(str.capitalize),
    "center": texts.padded(str.center),
    "e": _of_text(_escape),
    "escape": _of_text(_escape),
    "format": texts.print_format,
    "indent": texts.indent,
    "join": texts.join,
    "lower": _of_text(str.lower),
    "replace": texts.replace,
    "string": _of_text(str),
    "striptags": texts.strip_tags,
    "title": _slowly_of_text(jinja.do_title),
    "tojson": lambda meter, value, indent=None: to_json(value, meter, indent),
    "trim": _of_text(str.strip),
    "upper": _of_text(str.upper),
    "wordcount": _slowly_of_text(lambda text: len(text.split())),
    "wordwrap": texts.word_wrap,
}
#: These need nothing but their arguments.
_PLAIN: Mapping[str, Function] = {
    "batch": in_batches,
    "from_json": from_json,
    "fromjson": from_json,
    "list": to_list,
    "round": round_to,
    "safe": lambda value: value,
    "slice": in_slices,
    "sum": add_up,
    **_from_jinja(
        "abs", "count", "d", "default", "dictsort", "filesizeformat", "float", "int", "items", "length"
    ),
    **_from_jinja("reverse", "urlencode"),
}
_WITH_ENVIRONMENT = _from_jinja("first", "groupby", "last", "max", "min", "sort", "truncate", "unique")
_WITH_CONTEXT = _from_jinja("map", "reject", "rejectattr", "select", "selectattr")
#: These look at a value's outside only.
_SHALLOW = frozenset(
    ("batch", "count", "d", "default", "first", "items", "last", "length", "list", "reverse", "safe", "slice")
).union(_WITH_CONTEXT)
#: These call something for every item, or character.
_BY_ITEM = frozenset(("dictsort", "groupby", "max", "min", "sort", "sum", "unique"))

Leading = Callable[[Context], tuple[Any, ...]]


def _nothing(_: Context) -> tuple[Any, ...]:
    return ()


def _metered(function: Function, leading: Leading, name: str) -> Function:
    """Pay for the arguments, call, and take the result in."""

    @pass_context
    def call(context: Context, *arguments: Any, **named: Any) -> Any:
        meter = meter_of(context)
        pay = meter.read if name in _SHALLOW else meter.walk
        for argument in (*arguments, *named.values()):
            pay(argument)
        if name in _BY_ITEM and isinstance(arguments[0], Sized):
            meter.spend(len(arguments[0]))
        return meter.admit(function(*leading(context), *arguments, **named))

    return cast(Function, call)


def _collect() -> dict[str, Function]:
    groups: tuple[tuple[Mapping[str, Function], Leading], ...] = (
        (_PLAIN, _nothing),
        (_WITH_METER, lambda context: (meter_of(context),)),
        (_WITH_ENVIRONMENT, lambda context: (context.environment,)),
        (_WITH_CONTEXT, lambda context: (context,)),
    )
    return {
        name: _metered(function, leading, name)
        for functions, leading in groups
        for name, function in functions.items()
    }


FILTERS: Mapping[str, Function] = _collect()
#: Of these none looks into a value.
_FREE_TESTS = ("defined", "undefined", "none", "filter", "test")
TESTS: Mapping[str, Function] = {
    name: cast(Function, function)
    if name in _FREE_TESTS
    else _metered(cast(Function, function), _nothing, name)
    for name, function in tests.TESTS.items()
    if name != "callable"
}
