"""How a client waits and tries again when the other side is busy or gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from rowel.core.errors import NodeFailed

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

#: Seconds before the second try; doubles from there, with jitter.
FIRST_WAIT_S = 0.5
#: The longest wait. Who asks for more by `Retry-After` is not waited for: the node fails as retryable and says so.
LONGEST_WAIT_S = 60.0


async def persist(
    send: Callable[[], Awaitable[T]],
    *,
    attempts: int,
    sleep: Sleep = asyncio.sleep,
    repeats: Callable[[NodeFailed], bool] = lambda failure: failure.retryable,
) -> T:
    """Await `send()` up to `attempts` times (1 or more), as long as it raises a `NodeFailed` that `repeats` accepts.

    Waits what the other side asked for, else a jittered time that doubles. Raises what the last try raised.
    """

    def is_worth_waiting_for(error: BaseException) -> bool:
        if not isinstance(error, NodeFailed) or not repeats(error):
            return False
        return (error.retry_after_s or 0) <= LONGEST_WAIT_S

    trying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(attempts),
        wait=_wait,
        retry=retry_if_exception(is_worth_waiting_for),
        reraise=True,
    )
    return await trying(send)


def wait_s(tries: int, asked_s: float | None = None, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after `tries` failed tries. `asked_s` is what the other side asked for."""
    if asked_s is not None:
        return max(0.0, asked_s)
    full = min(FIRST_WAIT_S * 2.0 ** (tries - 1), LONGEST_WAIT_S)
    return full * (0.5 + jitter() / 2)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number or a date. None without a valid one.

    `headers` are by lower-case name.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return wait_s(state.attempt_number, error.retry_after_s if isinstance(error, NodeFailed) else None)
