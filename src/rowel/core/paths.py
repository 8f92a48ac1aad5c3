"""Dotted paths into what a node received: `title.field`, `title.items.0`, `title.items[0].name`.

A path follows the keys that are there, longest first, so titles and fields may themselves hold dots or spaces. Lists
take numbers, counted from 0, or from the end with a minus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rowel.core.errors import Invalid
from rowel.core.jsontext import kind

#: Characters of a path.
MAX_PATH = 10_000
_STEP_END = re.compile(r"[.\[]")
_INDEX = re.compile(r"-?[0-9]{1,9}")
#: What may follow a closing bracket.
_AFTER = ("", ".", "[")
_SHOWN = 20


class _Missing:
    """Where a path ended: how far it got, and the value it got to."""

    def __init__(self, at: int, value: Any) -> None:
        self.at = at
        self.value = value


def look_up(values: Mapping[str, Any], path: str) -> Any:
    """Return what `path` names in `values`.

    Raises `Invalid` naming the first part that is missing and what there is instead.
    """
    if len(path) > MAX_PATH:
        raise Invalid(f"a path has {len(path):,} characters; the limit is {MAX_PATH:,}")
    found = _follow(values, path, 0)
    if isinstance(found, _Missing):
        raise Invalid(_explain(path, found))
    return found


#: What `find` returns where a path leads nowhere; null is a value like any other.
NOTHING: Final = object()


def find(values: Mapping[str, Any], path: str) -> Any:
    """Return what `path` names in `values`, or `NOTHING`."""
    found = _follow(values, path, 0) if len(path) <= MAX_PATH else _Missing(0, values)
    return NOTHING if isinstance(found, _Missing) else found


def _follow(value: Any, path: str, at: int) -> Any:
    """Go on from `value` at offset `at`. Of several failures the one that got furthest is told."""
    if at > len(path):
        return value
    furthest = _Missing(at, value)
    for child, end in _steps(value, path, at):
        found = _follow(child, path, end)
        if not isinstance(found, _Missing):
            return found
        furthest = max(furthest, found, key=lambda missing: missing.at)
    return furthest


def _steps(value: Any, path: str, at: int) -> Iterator[tuple[Any, int]]:
    """Every (child, offset behind it) that the path may mean next, longest key first."""
    if (
        path.startswith("[", at)
        and (close := path.find("]", at)) > 0
        and path[close + 1 : close + 2] in _AFTER
    ):
        yield from _enter(value, path[at + 1 : close].strip(" \"'"), _behind(path, close + 1))
    ends = [found.start() for found in _STEP_END.finditer(path, at + 1)]
    for end in (len(path), *reversed(ends)):
        yield from _enter(value, path[at:end], _behind(path, end))


def _behind(path: str, end: int) -> int:
    """Where the next step begins. Past the path's end there is none: that is how a finished path is told."""
    return end if path.startswith("[", end) else end + 1


def _enter(value: Any, key: str, end: int) -> Iterator[tuple[Any, int]]:
    if isinstance(value, Mapping):
        if key in value:
            yield value[key], end
    elif isinstance(value, list | tuple) and _INDEX.fullmatch(key) and -len(value) <= int(key) < len(value):
        yield value[int(key)], end


def _explain(path: str, missing: _Missing) -> str:
    if not path:
        return f"the path is empty; {what_is_there(missing.value)}"
    reached = path[: missing.at].rstrip(".")
    part = _STEP_END.split(path[missing.at :].lstrip("["), maxsplit=1)[0].rstrip("]")
    where = f" in {reached!r}" if reached else ""
    return f"path {path!r}: there is no {part!r}{where}; {what_is_there(missing.value)}"


def what_is_there(value: Any) -> str:
    """A few words for messages: the keys of an object, the length of a list, what else a value is."""
    if isinstance(value, Mapping):
        return f"there is {_listing(sorted(map(str, value)))}" if value else "it is an empty object"
    if isinstance(value, list | tuple):
        return f"it is a list of {len(value)}"
    return f"it is {kind(value)}"


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
