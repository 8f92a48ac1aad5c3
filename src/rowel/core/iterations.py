"""What the iterations of a body gave so far: handed to the next one, and not kept again with every task that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.core.outcomes import Fields

#: Histories of up to so many characters of JSON are kept with each task as they are.
BRIEF = 8192
#: The only key of an object that stands for a history. Its value is `{container}.{iteration}`.
REFERENCE = "$before"
#: No deeper than this is a history looked for. Whoever hides one deeper, or in a list, keeps it whole.
DEEPEST = 64


class Iterations(dict[str, list[Fields]]):
    """{node id: [outputs so far]}: a plain mapping for everybody who reads it, and never changed.

    What is kept of a task holds a reference in its place, unless it is brief: each would hold all those before.
    """

    def __init__(self, outputs: Mapping[str, list[Fields]], length: int) -> None:
        """`length`: characters of JSON, about."""
        super().__init__(outputs)
        self._length = length
        #: The iteration that got it, as `{container}.{iteration}`; set once that is known.
        self.place = ""

    def and_then(self, results: Iterable[Fields]) -> Iterations:
        """These, and what more iterations gave: for each {node id: outputs}."""
        length, grown = self._length, {node_id: list(given) for node_id, given in self.items()}
        for result in results:
            for node_id, outputs in result.items():
                grown.setdefault(node_id, []).append(outputs)
            length += _length(result) if length <= BRIEF else 0
        return Iterations(grown, length)

    def is_referred_to_by(self, path: str) -> bool:
        """Whether what is kept of the task at this path holds a reference instead."""
        return self._length > BRIEF and is_inside(path, self.place)

    @property
    def reference(self) -> dict[str, str]:
        return {REFERENCE: self.place}


def is_inside(path: str, place: str) -> bool:
    """Whether the task at this path belongs to this iteration, or to a body inside it."""
    return bool(place) and path.startswith(f"{place}.")


def to_keep(fields: Fields, path: str) -> Fields:
    """What is kept of these inputs or outputs of the task at this path."""

    def changed(value: Mapping[str, Any]) -> Mapping[str, Any]:
        is_long = isinstance(value, Iterations) and value.is_referred_to_by(path)
        return value.reference if is_long and isinstance(value, Iterations) else value

    return _replaced(fields, changed)


def whole(fields: Fields, path: str, find: Callable[[str], Iterations | None]) -> Fields:
    """The opposite of `to_keep`: `find` gives the history of a place."""

    def changed(value: Mapping[str, Any]) -> Mapping[str, Any]:
        place = place_of(value, path)
        found = None if place is None else find(place)
        return value if found is None else found

    return _replaced(fields, changed)


def place_of(value: Any, path: str) -> str | None:
    """Which history stands here in what was kept of the task at this path; None where none does."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return None
    place = value.get(REFERENCE)
    return place if isinstance(place, str) and is_inside(path, place) else None


def without(fields: Fields, path: str) -> Fields:
    """These outputs of the task at this path without the histories that it passed on, or references to them."""
    return _replaced(fields, lambda value: None if _is_history(value, path) else value)


def has_reference(fields: Fields, path: str) -> bool:
    """Whether a history is missing from what was kept of the task at this path."""
    return without(fields, path) is not fields


def _is_history(value: Any, path: str) -> bool:
    return isinstance(value, Iterations) or place_of(value, path) is not None


def _replaced(
    fields: Fields, changed: Callable[[Mapping[str, Any]], Mapping[str, Any] | None], depth: int = DEEPEST
) -> Fields:
    """The mapping with the mappings in it changed; itself where none is. None takes one away."""
    result: dict[str, Any] | None = None
    for key, value in fields.items():
        if not isinstance(value, Mapping):
            continue
        new = changed(value)
        if new is value and depth and not isinstance(value, Iterations):
            new = _replaced(value, changed, depth - 1)
        if new is value:
            continue
        result = dict(fields) if result is None else result
        if new is None:
            del result[key]
        else:
            result[key] = new
    return fields if result is None else result


def _length(outputs: Fields) -> int:
    try:
        return len(jsontext.dump(outputs))
    except Invalid:
        return BRIEF + 1
