"""Outlasts a store that is away: for what must be done, and that nobody waits for who could be told to come back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rowel.core.errors import Unavailable

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Seconds before the next tries; the last one repeats.
AGAIN_AFTER_S = (0.05, 0.2, 0.5, 1.0, 2.0)


async def until_back(do: Callable[[], Awaitable[T]]) -> T:
    """Do it, again and again while it raises `Unavailable`."""
    tries = 0
    while True:
        try:
            return await do()
        except Unavailable as error:
            log.info("tried again in a moment: %s", error)
        await asyncio.sleep(AGAIN_AFTER_S[min(tries, len(AGAIN_AFTER_S) - 1)])
        tries += 1
