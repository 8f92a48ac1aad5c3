"""What one rendering may cost. Every operation of a template pays here, in units of about a microsecond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from jinja2.runtime import Context
from markupsafe import Markup

from rowel.core.errors import Invalid

#: Characters of a result, and of any text made on the way.
MAX_TEXT = 4 * 1024 * 1024
#: Items of any list made on the way.
MAX_ITEMS = 100_000
#: Bits of any integer made on the way: fewer than the interpreter's 4,300 digits.
MAX_BITS = 14_000
#: Units of work.
MAX_WORK = 1_000_000
#: Bytes of text, and items of a list, that are handled for one unit. They bound what a rendering may hold in memory
#: too, to some 256 MiB.
BYTES: Final = 256
_ITEMS: Final = 16
#: The same for items that are looked into or made.
_ITEMS_WALKED: Final = 4

#: Where a rendering's meter lies in its context: no template can write this name.
KEY: Final = "rowel meter"


class Meter:
    """The account of one rendering. Everything raises `Invalid` once it is overdrawn."""

    def __init__(self, budget: int = MAX_WORK) -> None:
        self._left = budget

    def spend(self, units: int = 1) -> None:
        self._left -= units
        if self._left < 0:
            raise Invalid(
                "the template does more work than one rendering may: too many steps or too much text"
            )

    def read(self, value: Any) -> None:
        """Pay for handling a value without looking into its items."""
        if isinstance(value, str):
            self.spend(1 + value.__sizeof__() // BYTES)
        elif isinstance(value, list | tuple | Mapping):
            self.spend(1 + len(value) // _ITEMS)
        else:
            self.spend()

    def walk(self, value: Any) -> None:
        """Pay for handling a value with all that is in it."""
        waiting = [value]
        while waiting:
            item = waiting.pop()
            self.read(item)
            if isinstance(item, list | tuple | Mapping):
                self.spend(len(item) // _ITEMS_WALKED)
                parts = (*item, *item.values()) if isinstance(item, Mapping) else item
                waiting += [part for part in parts if isinstance(part, _SIZED)]

    def admit(self, value: Any) -> Any:
        """Take in a value that an operation made: plain, bounded and paid for."""
        if isinstance(value, str):
            check_length(len(value))
            value = str(value) if isinstance(value, Markup) else value
        elif _is_lazy(value):
            value = list(islice(value, MAX_ITEMS + 1))
        if isinstance(value, list | tuple):
            check_items(len(value))
            self.spend(len(value) // _ITEMS_WALKED)
        elif isinstance(value, int):
            check_bits(value.bit_length())
        self.read(value)
        return value


_SIZED = (str, list, tuple, Mapping)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


def _is_lazy(value: Any) -> bool:
    """Whether it is a generator or a view: something that templates could not print or index."""
    return isinstance(value, Iterable) and (hasattr(value, "__next__") or isinstance(value, _VIEWS))


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
        raise Invalid(f"the template makes a list of {count:,} items or more; the limit is {MAX_ITEMS:,}")


def check_bits(bits: int) -> None:
    """Refuse an integer of this many bits before it is made."""
    if bits > MAX_BITS:
        raise Invalid("the template makes a number that is too large")
