"""How far walks through long lists have come, so that nobody counts to a late page again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rowel.core.records import Run
from rowel.store.runs import Filter

#: Pages that begin within so many runs are counted to each time, and show what is new.
COUNTED = 1_000
#: For so long a walk may rest between two pages.
HOLDS = timedelta(minutes=1)
KEPT = 1_000


class Marks:
    """Remembers behind which run a late page begins, where the page before it was just shown.

    A walk so never sees a run twice, nor misses one, though runs begin meanwhile.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Filter, int], tuple[datetime, Run]] = OrderedDict()

    def find(self, wanted: Filter, offset: int, now: datetime) -> tuple[Filter, int]:
        """The list that a page is read from, and how many of its runs are skipped."""
        made, run = self._kept.get(_key(wanted, offset), (None, None))
        if made is None or run is None or now - made > HOLDS:
            return wanted, offset
        return replace(wanted, before=(run.start_time, run.id)), 0

    def note(self, wanted: Filter, offset: int, shown: Sequence[Run], now: datetime) -> None:
        """Remember where what was shown from `offset` on ends. Who shows a page reads one run more, to know whether
        another page follows."""
        for number in (len(shown) - 1, len(shown)):
            if number > 0 and offset + number > COUNTED:
                key = _key(wanted, offset + number)
                self._kept[key] = (now, shown[number - 1])
                self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _key(wanted: Filter, offset: int) -> tuple[Filter, int]:
    return replace(wanted, statuses=tuple(wanted.statuses)), offset
