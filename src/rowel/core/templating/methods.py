"""The methods a template may call, by the type they belong to. What is not listed does not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2.runtime import LoopContext
from jinja2.utils import Cycler

from rowel.core.templating import texts
from rowel.core.templating.meter import Meter


@dataclass(frozen=True)
class Method:
    """A listed method of a value; only the environment calls it."""

    owner: Any
    function: Callable[..., Any]
    takes_meter: bool

    def call(self, meter: Meter, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Pay for owner and arguments, call, and take the result in."""
        for value in (*args, *kwargs.values()):
            meter.walk(value)
        if isinstance(self.owner, str):
            texts.slow(self.owner, meter, texts.CHANGED)
        pay = meter.walk if isinstance(self.owner, list | tuple) else meter.read
        pay(self.owner)
        leading = (meter, self.owner) if self.takes_meter else (self.owner,)
        return meter.admit(self.function(*leading, *args, **kwargs))


def method_of(value: Any, name: str) -> Method | None:
    """The method of this name that `value` has, if it is listed."""
    for types, methods in _METHODS:
        if isinstance(value, types) and name in methods:
            function = methods[name]
            return Method(value, function, takes_meter=_METERED.get(name) is function)
    return None


def _plain(type_: type, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(type_, name) for name in names.split()}


def _join(meter: Meter, separator: str, items: Any) -> str:
    return texts.join(meter, items, separator)


#: Methods of ours, in place of those that could grow.
_METERED: Mapping[str, Callable[..., Any]] = {
    "split": texts.split,
    "rsplit": texts.rsplit,
    "splitlines": texts.split_lines,
    "replace": texts.replace,
    "join": _join,
    "zfill": texts.zfill,
    "center": texts.padded(str.center),
    "ljust": texts.padded(str.ljust),
    "rjust": texts.padded(str.rjust),
}
_STR = _plain(
    str,
    "upper lower strip lstrip rstrip title capitalize swapcase casefold startswith endswith "
    "find rfind index rindex count isdigit isalpha isalnum isnumeric isdecimal isspace isupper islower istitle "
    "removeprefix removesuffix partition rpartition",
)
_METHODS: tuple[tuple[type | tuple[type, ...], Mapping[str, Callable[..., Any]]], ...] = (
    (str, {**_STR, **_METERED}),
    (dict, _plain(dict, "get items keys values")),
    ((list, tuple), _plain(list, "index count")),
    (float, _plain(float, "is_integer")),
    (LoopContext, _plain(LoopContext, "cycle changed")),
    (Cycler, _plain(Cycler, "next reset")),
)
