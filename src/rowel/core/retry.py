"""When a failed task is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

#: No wait is longer, whatever the doubling or the other side says.
MAX_WAIT_S = 3600.0


@dataclass(frozen=True)
class Retry:
    """How often a task is tried, all tries together, and the seconds before the second; they double from there."""

    attempts: int
    backoff_s: float

    def next_at(self, attempt: int, now: datetime, retry_after_s: float | None = None) -> datetime | None:
        """When to try again after `attempt` (the first is 1) has failed at `now`; None when it was the last.

        `retry_after_s` is what the other side asked for: the wait is never shorter, and never longer than an hour.
        """
        if attempt >= self.attempts:
            return None
        wait = self.backoff_s * 2.0 ** min(attempt - 1, 64)
        if retry_after_s is not None and retry_after_s > wait:
            wait = retry_after_s
        return now + timedelta(seconds=min(wait, MAX_WAIT_S))
