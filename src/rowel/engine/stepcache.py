"""The step cache: nodes that say `cache_s` need not do again what an equal one did on equal input."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

from rowel.core import jsontext
from rowel.core.errors import Unavailable
from rowel.core.outcomes import Fields
from rowel.core.records import Run
from rowel.core.stepcache import CacheEntry, step_key
from rowel.engine.clock import Clock
from rowel.nodes.base import Node
from rowel.store import stepcache
from rowel.store.database import Database
from rowel.store.stepcache import TOGETHER, StepCacheWrites

log = logging.getLogger(__name__)

#: Characters of JSON that one entry may have, and all together.
MAX_ENTRY = 1024 * 1024
MAX_SIZE = 256 * 1024 * 1024
#: The part of all that may be added before the whole is measured again.
MEASURED_EACH = 16


class StepCache:
    """Finds and makes entries. Runners write them in the group of the task that gave them."""

    def __init__(self, database: Database, clock: Clock, *, max_size: int = MAX_SIZE) -> None:
        self._database = database
        self._clock = clock
        self._max_size = max_size
        self._writes = StepCacheWrites(database.writer, database.dialect)
        #: What was added here since the whole was measured.
        self._added = 0
        self._trimming: asyncio.Task[None] | None = None

    def key_of(self, node: Node[Any], inputs: Fields) -> str | None:
        """Under which key the node's outputs are kept; None where they are not."""
        return step_key(node.spec, inputs) if node.config.cache_s else None

    async def find(self, key: str, run: Run) -> Fields | None:
        """What was given under this key. A fresh run does not ask; a store that is away is no reason to wait."""
        if run.is_fresh:
            return None
        now = self._clock.now()
        try:
            return await self._database.read(lambda connection: stepcache.find(connection, key, now))
        except Unavailable:
            return None

    def entry(self, node: Node[Any], key: str, outputs: Fields) -> CacheEntry | None:
        """What is to be kept; None where it is too large."""
        length = len(jsontext.dump(outputs))
        if length > MAX_ENTRY:
            return None
        self._note(length)
        lasts = timedelta(seconds=node.config.cache_s or 0)
        return CacheEntry(key=key, outputs=outputs, expires_at=self._clock.now() + lasts)

    async def close(self) -> None:
        if self._trimming is not None:
            self._trimming.cancel()
            await asyncio.gather(self._trimming, return_exceptions=True)

    def _note(self, length: int) -> None:
        self._added += length
        is_trimming = self._trimming is not None and not self._trimming.done()
        if self._added > self._max_size // MEASURED_EACH and not is_trimming:
            self._added = 0
            self._trimming = asyncio.ensure_future(self._trim_quietly())

    async def _trim_quietly(self) -> None:
        try:
            await self.trim()
        except Unavailable as error:
            log.info("the step cache was not trimmed: %s", error)

    async def trim(self) -> None:
        """Forget what expires first until the rest is small enough."""
        while await self._writes.forget_expired(self._clock.now(), TOGETHER):
            pass
        excess = await self._database.read(stepcache.size) - self._max_size
        while excess > 0:
            found = await self._database.read(lambda connection: stepcache.oldest(connection, TOGETHER))
            if not found:
                return
            gone: list[str] = []
            for key, length in found:
                if excess > 0:
                    gone.append(key)
                    excess -= length
            await self._writes.forget(gone)
