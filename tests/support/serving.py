"""Serves an app in this very process and loop, for what a network changes: live streams, hang-ups, raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from rowel.api.server import Server
from rowel.app import listen


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[int]:
    """The port on which the app is served meanwhile."""

    async def nothing_to_drain() -> None:
        return

    server = Server(app, nothing_to_drain)
    listener = listen("127.0.0.1", 0)
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task


async def say(port: int, request: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back until the server hangs up or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return head + await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()
