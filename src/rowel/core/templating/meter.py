"""What one rendering may cost. Every operation of a template pays here, in units of about a microsecond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from jinja2.runtime import Context
from markupsafe import Markup

from rowel.core.errors import Invalid

#: Characters of a result, and of any text made on the way.
MAX_TEXT = 4 * 1024 * 1024
#: Items of any list made on the way.
MAX_ITEMS = 200_000
#: Digits of any integer made on the way are fewer than the interpreter's 4,300.
MAX_BITS = 14_000
#: Units of work.
MAX_WORK = 1_000_000
#: Characters handled for one unit.
_CHARACTERS = 64
#: Items of a list handled for one unit when they are not looked into.
_ITEMS = 16

#: Where a rendering's meter lies in its context: no template can write this name.
KEY = "rowel meter"


class Meter:
    """The account of one rendering. Everything raises `Invalid` once it is overdrawn."""

    def __init__(self, budget: int = MAX_WORK) -> None:
        self._left = budget

    def spend(self, units: int = 1) -> None:
        self._left -= units
        if self._left < 0:
            raise Invalid("the template does more work than one rendering may: too many steps or too much text")

    def read(self, value: Any) -> None:
        """Pay for handling a value without looking into its items."""
        if isinstance(value, str):
            self.spend(1 + len(value) // _CHARACTERS)
        elif isinstance(value, list | tuple | dict):
            self.spend(1 + len(value) // _ITEMS)
        else:
            self.spend()

    def walk(self, value: Any) -> None:
        """Pay for handling a value with all that is in it."""
        waiting = [value]
        while waiting:
            item = waiting.pop()
            self.read(item)
            if isinstance(item, list | tuple):
                waiting.extend(item)
            elif isinstance(item, Mapping):
                waiting.extend(item)
                waiting.extend(item.values())

    def admit(self, value: Any) -> Any:
        """Take in a value that an operation made: plain, bounded and paid for."""
        if isinstance(value, str):
            check_length(len(value))
            value = str(value) if isinstance(value, Markup) else value
        elif isinstance(value, Iterable) and not isinstance(value, list | tuple | Mapping) and is_lazy(value):
            value = list(islice(value, MAX_ITEMS + 1))
        if isinstance(value, list | tuple):
            check_items(len(value))
        elif isinstance(value, int):
            check_bits(value.bit_length())
        self.read(value)
        return value


def is_lazy(value: Any) -> bool:
    """Whether it gives its items only once or only by position: generators, views of dicts, ranges, sets."""
    return hasattr(value, "__next__") or isinstance(value, range | set | frozenset) or type(value) in _VIEWS


_VIEWS = (type({}.keys()), type({}.values()), type({}.items()))


def meter_of(context: Context) -> Meter:
    meter = context.parent[KEY]
    assert isinstance(meter, Meter)
    return meter


def check_length(length: int) -> None:
    """Refuse text of this many characters before it is made."""
    if length > MAX_TEXT:
        raise Invalid(f"the template makes a text of {length:,} characters; the limit is {MAX_TEXT:,}")


def check_items(count: int) -> None:
    """Refuse a list of this many items before it is made."""
    if count > MAX_ITEMS:
        raise Invalid(f"the template makes a list of more than {MAX_ITEMS:,} items")


def check_bits(bits: int) -> None:
    """Refuse an integer of this many bits before it is made."""
    if bits > MAX_BITS:
        raise Invalid("the template makes a number that is too large")
