"""How much work a JSON Schema makes of a value, so that none can run without end.

The validator follows every path from part to part, except that it remembers what it knows of a part it is already
inside of. So we count paths: `visits` bounds how often one place in a value is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rowel.core.errors import Invalid
from rowel.core.schemarefs import Part, Refs

#: Parts that may judge the same place in a value.
MAX_VISITS = 10_000
#: Judgements that one value may take.
MAX_WORK = 100_000_000
#: Characters squared that patterns with look-around may go through for one value: a text of some 20,000.
MAX_SQUARES = 400_000_000
#: References in a row that may judge the same value.
_MAX_CHAIN = 200
#: Levels a value may nest; the validator itself recurses.
_MAX_DEPTH = 200


class Cost:
    """The cost of one schema. Raises `Invalid` for references without end and for too many of them."""

    def __init__(self, refs: Refs) -> None:
        self._refs = refs
        self._here: dict[int, int] = {}
        #: Bound on how often a place inside the value is judged, by part.
        self._inside: dict[int, int] = {}
        self.is_recursive = False
        for part in refs.parts:
            self._count_here(part, ())
        self._count_inside()
        self.visits = self._visits(refs.root)
        if self.visits > MAX_VISITS:
            raise Invalid("the parts of the schema refer to each other too often to be judged")

    def check(self, value: Any) -> int:
        """Return how many places there are in `value`. Raises `Invalid` when judging it would take too long."""
        count, _ = measure(value)
        if count * self.visits > MAX_WORK:
            raise Invalid("the value is too large for a schema with that many alternatives")
        return count

    def check_texts(self, value: Any) -> None:
        """Raises `Invalid` when the texts in `value` are too long for patterns that go back."""
        squares = sum(len(text) ** 2 for text in _texts(value))
        if squares * self.visits > MAX_SQUARES:
            raise Invalid("the value has too long a text for a schema whose patterns use look-around")

    def listing(self, value: Any) -> int:
        """A bound on the work of listing all that is wrong, where nothing is remembered."""
        count, depth = measure(value)
        return int(count * self.visits ** (depth + 1)) if self.is_recursive else count * self.visits

    def _count_here(self, part: Part, path: tuple[int, ...]) -> int:
        """How many parts judge the same value when this one does."""
        if id(part) in path:
            raise Invalid("a part of the schema refers to itself without end")
        if len(path) > _MAX_CHAIN:
            raise Invalid(f"more than {_MAX_CHAIN} parts of the schema refer to one another in a row")
        if id(part) not in self._here:
            path = (*path, id(part))
            count = 1 + sum(self._count_here(other, path) for other in self._refs.here(part))
            self._here[id(part)] = count * self._factor(part) + self._choices(part)
        return self._here[id(part)]

    @staticmethod
    def _factor(part: Part) -> int:
        """What is left over is found by judging everything once more."""
        return 2 if "unevaluatedProperties" in part or "unevaluatedItems" in part else 1

    @staticmethod
    def _choices(part: Part) -> int:
        """A long list of choices is compared one by one."""
        given = part.get("enum")
        return len(given) // 10 if isinstance(given, list) else 0

    def _count_inside(self) -> None:
        """Every part after those it leads to; a part that leads back to an open one is remembered there."""
        opened: set[int] = set()
        waiting = [(self._refs.root, False)]
        while waiting:
            part, are_others_done = waiting.pop()
            if are_others_done:
                opened.discard(id(part))
                self._inside[id(part)] = self._sum_inside(part)
            elif id(part) in opened:
                self.is_recursive = True
            elif id(part) not in self._inside:
                opened.add(id(part))
                waiting.append((part, True))
                groups = [*self._refs.one_of(part), self._refs.each(part), self._refs.here(part)]
                waiting += [(other, False) for group in groups for other in group]

    def _sum_inside(self, part: Part) -> int:
        inside = sum(max(map(self._visits, group), default=0) for group in self._refs.one_of(part))
        inside += sum(map(self._visits, self._refs.each(part)))
        inside += sum(self._inside.get(id(other), 0) for other in self._refs.here(part))
        return min(inside * self._factor(part), 10 * MAX_VISITS)

    def _visits(self, part: Part) -> int:
        return max(self._here[id(part)], self._inside.get(id(part), 0))


def _texts(value: Any) -> Iterator[str]:
    """Every text in `value`, keys included."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item


def measure(value: Any) -> tuple[int, int]:
    """How many values there are in `value`, itself included, and how deep they nest.

    Raises `Invalid` beyond 200 levels.
    """
    count, depth = 1, 0
    level = [value]
    while level := [item for item in level if isinstance(item, Mapping | list | tuple)]:
        depth += 1
        if depth > _MAX_DEPTH:
            raise Invalid(f"the value nests deeper than {_MAX_DEPTH} levels")
        level = [child for item in level for child in (item.values() if isinstance(item, Mapping) else item)]
        count += len(level)
    return count, depth
