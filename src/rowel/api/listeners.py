"""Those who listen to single runs: hundreds to one are told in the same bytes, and all are let go at the end."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from rowel.api.streams import HELLO, STILL_HERE, frame
from rowel.core.errors import Unavailable
from rowel.core.records import Event
from rowel.engine.listening import Listening

#: Groups of events that are remembered as the wire has them.
KEPT = 256


class Listeners:
    """All streams of single runs that one server has open."""

    def __init__(self, closing: asyncio.Event) -> None:
        """They end when `closing` is set."""
        self._closing = closing
        self._open: set[Listening] = set()
        self._ending: asyncio.Task[None] | None = None
        self._framed: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()

    async def stream(self, run_id: str, listening: Listening) -> AsyncGenerator[bytes, None]:
        """What one of them is sent; where the store is away it ends, and the client comes back and says what it saw."""
        self._open.add(listening)
        if self._ending is None or self._ending.done():
            self._ending = asyncio.ensure_future(self._end_all())
        try:
            yield HELLO
            async with aclosing(listening.groups()) as groups:
                async for group in groups:
                    yield self._frames(run_id, group) if group else STILL_HERE
        except Unavailable:
            return
        finally:
            self._open.discard(listening)
            if not self._open and not self._closing.is_set():
                self._ending.cancel()

    async def _end_all(self) -> None:
        await self._closing.wait()
        for listening in self._open:
            listening.end()

    def _frames(self, run_id: str, group: Sequence[Event]) -> bytes:
        key = (run_id, group[0].number, group[-1].number)
        framed = self._framed.get(key)
        if framed is None:
            framed = b"".join(
                frame(event.kind, {"run_id": run_id, **event.body}, event.number) for event in group
            )
            self._framed[key] = framed
            if len(self._framed) > KEPT:
                self._framed.popitem(last=False)
        return framed
