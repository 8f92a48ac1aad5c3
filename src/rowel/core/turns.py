"""Who of those who wait goes next. Times are seconds of any one clock."""

from __future__ import annotations

from itertools import chain, islice
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds after which one row of a batch goes ahead of everybody, if none went meanwhile.
ROW_PATIENCE_S = 10.0


class Line(Generic[T]):
    """Those who wait for the same model: interactive calls in their order, then rows of batches in theirs.

    Rows get what the others leave. If that is nothing, the first row is treated as an interactive call every ten
    seconds, so that batches always move.

    After a provider asked everybody to wait, one call goes first, and each answer lets one more go beside those
    that follow: twice as many each time.
    """

    def __init__(self) -> None:
        #: When each came.
        self._calls: dict[T, float] = {}
        self._rows: dict[T, float] = {}
        self._row_went_at = float("-inf")
        self._under_way = 0
        #: How many may be under way; None: as many as are allowed.
        self._width: int | None = None

    def __len__(self) -> int:
        return len(self._calls) + len(self._rows)

    @property
    def is_idle(self) -> bool:
        return not self and not self._under_way

    @property
    def is_narrow(self) -> bool:
        """Whether they wait for each other's answers."""
        return self._width is not None and self._under_way >= self._width

    def join(self, one: T, now: float, *, is_row: bool) -> None:
        (self._rows if is_row else self._calls)[one] = now

    def leave(self, one: T) -> None:
        """They don't want to go any more."""
        self._calls.pop(one, None)
        self._rows.pop(one, None)

    def first(self, most: int, now: float) -> list[tuple[T, bool]]:
        """Those who go next, in order, at most so many; and of each whether it is treated as a row."""
        if self._width is not None:
            most = min(most, self._width - self._under_way)
        late_at = self.row_is_late_at()
        ahead = list(islice(self._rows, 1)) if late_at is not None and late_at <= now else []
        in_order = chain(
            ((one, False) for one in ahead),
            ((one, False) for one in self._calls),
            ((one, True) for one in self._rows if one not in ahead),
        )
        return list(islice(in_order, max(0, most)))

    def row_is_late_at(self) -> float | None:
        """When the first row has waited for so long that it goes ahead; None where none waits."""
        came = next(iter(self._rows.values()), None)
        return None if came is None else max(came, self._row_went_at) + ROW_PATIENCE_S

    def go(self, one: T, now: float) -> None:
        """This one's turn has come."""
        if one in self._rows:
            self._row_went_at = now
        self.leave(one)
        self._under_way += 1

    def hold(self) -> None:
        """The provider asked everybody to wait."""
        self._width = 1

    def end(self, *, is_answered: bool) -> None:
        """One of those under way has ended, by an answer or otherwise."""
        self._under_way -= 1
        if self._width is not None and is_answered:
            self._width += 1
            if self._width > self._under_way + len(self):
                self._width = None
