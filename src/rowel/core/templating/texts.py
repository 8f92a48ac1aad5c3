"""Operations on text that could grow it without bound, with the bound. Each is given the meter first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from rowel.core.errors import Invalid
from rowel.core.templating.meter import MAX_ITEMS, Meter, check_items, check_length
from rowel.core.templating.values import format_text, show

_MAX_WIDTH = 10_000
#: Characters that are changed for one unit, and those that slow work gets through.
CHANGED = 32
_SLOW = 8
#: Whatever ends a line for `splitlines`.
_LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def slow(text: Any, meter: Meter, per_unit: int = _SLOW) -> str:
    """The text of a value, for work that takes many times what copying takes."""
    shown = show(text, meter)
    meter.spend(len(shown) // per_unit)
    return shown


def split(_: Meter, text: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    return text.split(separator, _cuts(maxsplit))


def rsplit(_: Meter, text: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    return text.rsplit(separator, _cuts(maxsplit))


def _cuts(maxsplit: int) -> int:
    """One more than the limit lets the meter see that there are too many."""
    return maxsplit if 0 <= maxsplit <= MAX_ITEMS else MAX_ITEMS


def split_lines(_: Meter, text: str, keepends: bool = False) -> list[str]:
    check_items(sum(map(text.count, _LINE_ENDS)))
    return text.splitlines(keepends)


def replace(meter: Meter, text: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = show(text, meter), show(old, meter), show(new, meter)
    limit = -1 if count is None else count
    times = text.count(old) if limit < 0 else min(limit, text.count(old))
    check_length(len(text) + times * (len(new) - len(old)))
    return str(text.replace(old, new, limit))


def join(meter: Meter, items: Iterable[Any], separator: Any = "", attribute: str | int | None = None) -> str:
    """Join the items' texts; with `attribute`, the texts of that part of each."""
    texts = [show(item if attribute is None else part(item, attribute), meter) for item in items]
    separator = show(separator, meter)
    check_length(sum(map(len, texts)) + len(separator) * len(texts))
    return str(separator.join(texts))


def part(item: Any, path: str | int) -> Any:
    """What a dotted path leads to. Raises as Python does where there is nothing."""
    for name in str(path).split("."):
        item = item[int(name) if isinstance(item, list | tuple) else name]
    return item


def indent(meter: Meter, text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """Put space before every line but the first (unless `first`) and empty ones (unless `blank`)."""
    head, *rest = show(text, meter).split("\n")
    space = width if isinstance(width, str) else " " * check_width(width)
    check_length(len(head) + sum(map(len, rest)) + (len(space) + 1) * (len(rest) + 1))
    lines = [f"{space}{line}" if line or blank else line for line in rest]
    return "\n".join([f"{space}{head}" if first else head, *lines])


def padded(method: Callable[[str, int, str], str]) -> Callable[..., str]:
    """`center`, `ljust` or `rjust` with a width that is bounded."""

    def pad(meter: Meter, text: Any, width: int = 80, fill: str = " ") -> str:
        return method(show(text, meter), check_width(width), fill)

    return pad


def zfill(meter: Meter, text: Any, width: int) -> str:
    return show(text, meter).zfill(check_width(width))


def check_width(width: Any) -> int:
    if not isinstance(width, int) or width > _MAX_WIDTH:
        raise Invalid(f"a width is a number up to {_MAX_WIDTH:,}")
    return width


def strip_tags(meter: Meter, text: Any) -> str:
    """Drop `<...>` and runs of white space."""
    head, *parts = slow(text, meter).split("<")
    cut = [piece.partition(">") for piece in parts]
    kept = [behind if tag else f"<{before}" for before, tag, behind in cut]
    return " ".join("".join([head, *kept]).split())


def print_format(meter: Meter, pattern: Any, *arguments: Any, **named: Any) -> str:
    if arguments and named:
        raise Invalid("format takes values by place or by name, not both")
    return format_text(show(pattern, meter), named or arguments, meter)


def word_wrap(meter: Meter, text: Any, width: int = 79, break_long_words: bool = True) -> str:
    """Break lines between words so that none is longer than `width`; longer words only if `break_long_words`."""
    text = slow(text, meter)
    width = max(1, check_width(width))
    return "\n".join(_wrap(line, width, break_long_words) for line in text.splitlines())


def _wrap(line: str, width: int, break_long_words: bool) -> str:
    lines = [""]
    for found in re.finditer(r"\s*\S+", line):
        word = found[0]
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
            word = word.lstrip()
        if break_long_words and len(word) > width:
            *whole, word = [word[start : start + width] for start in range(0, len(word), width)]
            lines[-1:] = [*whole, ""]
        lines[-1] += word
    return "\n".join(lines)
