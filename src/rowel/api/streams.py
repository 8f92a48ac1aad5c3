"""Streams of events: framed, kept alive, and ended when the server is about to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

from rowel.core.errors import Unavailable
from rowel.core.jsontext import dump
from rowel.core.records import Event

#: Comments, which clients pass over.
HELLO = b": hello\n\n"
STILL_HERE = b": still here\n\n"

#: Changes that may wait to be told; past them the oldest are dropped.
BACKLOG = 10_000


def frame(kind: str, body: dict[str, Any], number: int | None = None) -> bytes:
    """One event as the wire has it."""
    lines = [] if number is None else [f"id: {number}"]
    return "\n".join([*lines, f"event: {kind}", f"data: {dump(body)}", "", ""]).encode()


async def kept_alive(
    frames: AsyncIterator[bytes], heartbeat_s: float, closing: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """The frames, and a comment after each `heartbeat_s` seconds of silence; until they end or `closing` is set."""
    yield HELLO
    closed = asyncio.ensure_future(closing.wait())
    following = asyncio.ensure_future(anext(frames))
    try:
        while not closing.is_set():
            done, _ = await asyncio.wait(
                {following, closed}, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if following in done:
                yield following.result()
                following = asyncio.ensure_future(anext(frames))
            elif not done:
                yield STILL_HERE
    except (StopAsyncIteration, Unavailable):
        # Where the store is away, the client comes back and says what it saw last.
        return
    finally:
        await _let_go(closed, following)
        await close(frames)


async def coalesced(
    events: AsyncIterator[tuple[str, Event]], each_s: float
) -> AsyncGenerator[tuple[str, Event], None]:
    """Every `each_s` seconds what came meanwhile, of each run and kind the last event only."""
    waiting: dict[tuple[str, str], Event] = {}
    arrived = asyncio.Event()
    collecting = asyncio.ensure_future(_collect(events, waiting, arrived))
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            found = list(waiting.items())
            waiting.clear()
            for (run_id, _), event in found:
                yield run_id, event
            await asyncio.sleep(each_s)
    finally:
        await _let_go(collecting)
        await close(events)


async def _collect(
    events: AsyncIterator[tuple[str, Event]],
    waiting: dict[tuple[str, str], Event],
    arrived: asyncio.Event,
) -> None:
    async for run_id, event in events:
        waiting.pop((run_id, event.kind), None)
        waiting[run_id, event.kind] = event
        if len(waiting) > BACKLOG:
            waiting.pop(next(iter(waiting)))
        arrived.set()


async def close(stream: AsyncIterator[Any]) -> None:
    """Let what a stream holds go now, and not when it is collected."""
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()


async def _let_go(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
