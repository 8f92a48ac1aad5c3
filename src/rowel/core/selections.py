"""Rows of a dataset by their numbers, kept as ranges: a batch over some rows of a large dataset stays small."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

Range = tuple[int, int]

_first: itemgetter[int] = itemgetter(0)
_last: itemgetter[int] = itemgetter(1)


@dataclass(frozen=True)
class Selection:
    """Rows as (first, last) pairs, in order and apart from each other."""

    ranges: Sequence[Range] = ()

    @classmethod
    def of(cls, rows: Iterable[int]) -> Selection:
        """These rows, in any order and however often each is named."""
        ranges: list[Range] = []
        for row in sorted(set(rows)):
            if ranges and ranges[-1][1] == row - 1:
                ranges[-1] = (ranges[-1][0], row)
            else:
                ranges.append((row, row))
        return cls(tuple(ranges))

    @classmethod
    def whole(cls, total: int) -> Selection:
        """Every row of a dataset that has `total` of them."""
        return cls(((0, total - 1),) if total else ())

    def __contains__(self, row: int) -> bool:
        return self.next_from(row) == row

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @property
    def size(self) -> int:
        """How many rows these are."""
        return sum(last - first + 1 for first, last in self.ranges)

    @property
    def end(self) -> int:
        """The number behind the last row."""
        return self.ranges[-1][1] + 1 if self.ranges else 0

    def next_from(self, row: int) -> int | None:
        """The first of these rows that is `row` or comes after it."""
        place = bisect_left(self.ranges, row, key=_last)
        return max(row, self.ranges[place][0]) if place < len(self.ranges) else None

    def count_before(self, row: int) -> int:
        """How many of these rows come before `row`."""
        begun = self.ranges[: bisect_right(self.ranges, row, key=_first)]
        return sum(min(last + 1, row) - first for first, last in begun)

    def bound_of(self, count: int) -> int:
        """The number before which lie exactly the first `count` of these rows, or all where there are fewer."""
        left = count
        for first, last in self.ranges:
            if left <= last - first + 1:
                return first + left
            left -= last - first + 1
        return self.end

    def others(self, total: int) -> Selection:
        """Every row that is not among these, of a dataset that has `total`."""
        edges = [-1, *(edge for pair in self.ranges for edge in pair), total]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return Selection(tuple((last + 1, first - 1) for last, first in gaps if last + 1 <= first - 1))
