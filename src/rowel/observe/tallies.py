"""Counters of one process. They hold numbers and nothing else: what they are called is said when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

Labels = tuple[str, ...]

#: How many values one label has at most where they come from outside; the others are counted as `other`.
MOST_VALUES = 100
OTHER = "other"
#: Characters of such a value.
LONGEST_VALUE = 64


class Tally:
    """A number that only grows, for each set of labels."""

    def __init__(self) -> None:
        self._sums: defaultdict[Labels, float] = defaultdict(float)

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        self._sums[labels] += amount

    def read(self) -> list[tuple[Labels, float]]:
        return list(self._sums.items())


class Spread:
    """How often a value fell under each of some bounds, for each set of labels."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._found: dict[Labels, list[float]] = {}

    def add(self, value: float, labels: Labels = ()) -> None:
        found = self._found.get(labels)
        if found is None:
            # The last place is the sum.
            found = self._found[labels] = [0.0] * (len(self.bounds) + 2)
        found[bisect_left(self.bounds, value)] += 1
        found[-1] += value

    def read(self) -> Iterator[tuple[Labels, list[tuple[str, float]], float]]:
        """Labels, [(bound, how many are not above it)], sum."""
        names = [*map(str, self.bounds), "+Inf"]
        for labels, found in list(self._found.items()):
            *counts, total = found
            so_far = 0.0
            buckets = []
            for name, count in zip(names, counts, strict=True):
                so_far += count
                buckets.append((name, so_far))
            yield labels, buckets, total


class Known:
    """Values of a label that come from outside, as many as are lawful."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        found = self._values.get(value)
        if found is None:
            if len(self._values) >= MOST_VALUES:
                return OTHER
            found = self._values[value] = "".join(filter(str.isprintable, value[:LONGEST_VALUE]))
        return found
