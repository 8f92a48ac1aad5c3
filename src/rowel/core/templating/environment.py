"""The Jinja2 environment templates run in: plain data, listed methods, metered operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, missing, pass_context

from rowel.core.errors import Invalid
from rowel.core.jsontext import kind
from rowel.core.paths import what_is_there
from rowel.core.templating import filters, instrument
from rowel.core.templating.meter import check_items, check_length, meter_of
from rowel.core.templating.values import apply, show


class MissingValue(UndefinedError):
    """Something that is not there was used. `is_name` says that it is a name of its own, not a part of a value."""

    def __init__(self, message: str, is_name: bool) -> None:
        super().__init__(message)
        self.is_name = is_name


class Missing(Undefined):
    """What is not there. It may be asked for (`is defined`, `default`, `if`, `==`), and so may its parts; printing
    or walking it raises."""

    def __str__(self) -> str:
        return self._fail_with_undefined_error()

    def __iter__(self) -> Any:
        return self._fail_with_undefined_error()

    def __len__(self) -> int:
        return self._fail_with_undefined_error()

    def _fail_with_undefined_error(self, *args: Any, **kwargs: Any) -> Any:
        is_name = self._undefined_obj is missing
        message = self._undefined_hint or f"there is no {self._undefined_name!r}"
        if not is_name:
            message = f"{message}; {what_is_there(self._undefined_obj)}"
        raise MissingValue(message, is_name and not self._undefined_hint)


@dataclass(frozen=True)
class Method:
    """A listed method of a value; only the environment calls it."""

    owner: Any
    function: Callable[..., Any]
    takes_meter: bool = False


class Templates(ImmutableSandboxedEnvironment):
    """Compiles templates. One serves all threads; what a rendering costs is kept in its context."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        super().__init__(
            undefined=Missing,
            autoescape=False,
            finalize=_finalize,
            keep_trailing_newline=True,
            optimized=False,
            cache_size=0,
        )
        self.filters = {**filters.FILTERS, **instrument.INNER}
        self.tests = dict(filters.TESTS)
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": Namespace,
            "cycler": Cycler,
            "joiner": Joiner,
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return instrument.Instrument().visit(super()._parse(source, name, filename))  # type: ignore[no-any-return]  # visit gives what it got

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of an object first, so that `x.items` is the field; then the listed methods."""
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, Namespace):
            return self._namespace_value(obj, attribute)
        if isinstance(obj, tuple) and attribute in getattr(obj, "_fields", ()):
            return getattr(obj, attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP_VALUES:
            return getattr(obj, attribute)
        return self._method(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        meter = meter_of(context)
        for value in (*args, *kwargs.values()):
            meter.walk(value)
        if isinstance(obj, Method):
            kwargs.pop("_loop_vars", None)
            meter.read(obj.owner)
            leading = (meter, obj.owner) if obj.takes_meter else (obj.owner,)
            return meter.admit(obj.function(*leading, *args, **kwargs))
        if isinstance(obj, Macro | LoopContext | Joiner | Undefined) or obj in _GLOBALS:
            return meter.admit(context.call(obj, *args, **kwargs))
        raise Invalid(f"{kind(obj)} can't be called")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return apply(operator, left, right, meter_of(context))

    def _namespace_value(self, obj: Any, attribute: str) -> Any:
        try:
            return self._hidden(attribute) if attribute.startswith("_") else getattr(obj, attribute)
        except AttributeError:
            return self._hidden(attribute)

    def _hidden(self, attribute: str) -> Undefined:
        return self.undefined(f"the namespace has no {attribute!r}", name=attribute)

    def _method(self, obj: Any, attribute: str) -> Any:
        for types, methods in _METHODS:
            if isinstance(obj, types) and attribute in methods:
                function = methods[attribute]
                return Method(obj, function, takes_meter=function in _METERED)
        return self.undefined(obj=obj, name=attribute)


@pass_context
def _finalize(context: Context, value: Any) -> str:
    return show(value, meter_of(context))


def _range(*limits: int) -> list[int]:
    numbers = range(*limits)
    check_items(len(numbers))
    return list(numbers)


def _plain(type_: type, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(type_, name) for name in names.split()}


def _join(meter: Any, text: str, items: Any) -> str:
    return filters.join(meter, items, text)


_METERED = frozenset(
    {filters.replace, _join, filters.zfill, *(center := [filters.pad(m) for m in (str.center, str.ljust, str.rjust)])}
)
_STR = _plain(
    str,
    "upper lower strip lstrip rstrip title capitalize swapcase casefold split rsplit splitlines startswith endswith "
    "find rfind index rindex count isdigit isalpha isalnum isnumeric isdecimal isspace isupper islower istitle "
    "removeprefix removesuffix partition rpartition",
) | {"replace": filters.replace, "join": _join, "zfill": filters.zfill}
_STR |= dict(zip(("center", "ljust", "rjust"), center, strict=True))
_METHODS: tuple[tuple[type | tuple[type, ...], Mapping[str, Callable[..., Any]]], ...] = (
    (str, _STR),
    (dict, _plain(dict, "get items keys values")),
    ((list, tuple), _plain(list, "index count")),
    (float, _plain(float, "is_integer")),
    (LoopContext, _plain(LoopContext, "cycle changed")),
    (Cycler, _plain(Cycler, "next reset")),
)
_LOOP_VALUES = frozenset(
    "index index0 revindex revindex0 first last length depth depth0 previtem nextitem".split()
)
_GLOBALS = (_range, dict, Namespace, Cycler, Joiner)
