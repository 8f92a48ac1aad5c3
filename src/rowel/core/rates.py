"""How fast a batch moves, from what was seen of it before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

#: What is shown is the rate over about so long a time.
WINDOW = timedelta(seconds=30)


class Sample(NamedTuple):
    """How many rows had ended at a time."""

    time: datetime
    settled: int


def rows_per_s(samples: Sequence[Sample], now: Sample) -> float | None:
    """Rows that ended in a second, over the last half minute or since the first sample; None where none is older than
    `now`. The newest sample comes first."""
    older = (sample for sample in samples if now.time - sample.time >= WINDOW)
    base = next(older, samples[-1] if samples else now)
    seconds = (now.time - base.time).total_seconds()
    return None if seconds <= 0 else max(0, now.settled - base.settled) / seconds


def seconds_left(rows: int, rate: float | None) -> float | None:
    """When `rows` more rows will have ended at this rate; None where that can't be said."""
    return rows / rate if rate else None
