"""When to look again at what goes on without us. Nothing here waits: who asks is told how long to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from rowel.client.errors import ConnectionLost, InProgress, RowelClientError, ServerBusy, ServerFailed

#: What passes by itself: the server restarts, or has too much to do.
PASSING = (ConnectionLost, ServerBusy, ServerFailed)

#: Seconds between two questions whether the first request with a key has been answered by now.
PROGRESS_EACH_S = 1.0

SHORTEST_S = 0.02
LONGEST_S = 2.0
#: Of the time waited so far: waiting takes at most a tenth longer than what is waited for.
SHARE = 0.1


def pauses() -> Iterator[float]:
    """Seconds to wait before each new try to reach a server that went away; about a minute in all."""
    yield from (0.1, 0.3, 1.0, 2.0, 3.0)
    yield from repeat(5.0, 11)


class Patience:
    """How long a server may be away: about a minute from each time it was heard of."""

    def __init__(self) -> None:
        self._pauses = pauses()

    def renew(self) -> None:
        """The server was heard of."""
        self._pauses = pauses()

    def pause_after(self, trouble: RowelClientError) -> float:
        """Seconds until the next try. Raises `trouble` where there were enough."""
        pause_s = next(self._pauses, None)
        if pause_s is None:
            raise trouble
        return pause_s


class Deadline:
    """Waiting that began at `began` (seconds of any clock) and lasts `timeout` seconds, or for ever (None)."""

    def __init__(self, timeout: float | None, began: float) -> None:
        self._timeout = timeout
        self._began = began

    def left(self, now: float) -> float | None:
        """Seconds that are left, 0 where the time is up; None without a limit."""
        return None if self._timeout is None else max(0.0, self._began + self._timeout - now)

    def is_over(self, now: float) -> bool:
        return self.left(now) == 0.0

    def until_next_look(self, now: float) -> float:
        """Seconds to wait before the run is looked at again."""
        return self.within(min(max(SHARE * (now - self._began), SHORTEST_S), LONGEST_S), now)

    def within(self, pause_s: float, now: float) -> float:
        """A pause, cut to the time that is left."""
        left = self.left(now)
        return pause_s if left is None else min(pause_s, left)


class Persistence:
    """When to send a request again that is done once, however often it comes."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._patience = Patience()

    def pause_after(self, trouble: RowelClientError, now: float) -> float:
        """Seconds until the next try. Raises `trouble` where none is of use, or none is left."""
        if self._deadline.is_over(now):
            raise trouble
        if isinstance(trouble, InProgress):
            self._patience.renew()
            return self._deadline.within(PROGRESS_EACH_S, now)
        if not isinstance(trouble, PASSING):
            raise trouble
        return self._deadline.within(self._patience.pause_after(trouble), now)
