"""A port where Prometheus asks a worker, which serves nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rowel.observe.exposition import MEDIA_TYPE

#: Seconds that somebody who knocks may take to say what he wants, and bytes.
PATIENCE_S = 5.0
LONGEST_HEAD = 8192


async def open_door(host: str, port: int, render: Callable[[], Awaitable[bytes]]) -> asyncio.Server:
    """Answer `GET /metrics`, and nothing else. Raises `OSError` where the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                is_asked = head.split(b" ", 2)[:2] == [b"GET", b"/metrics"]
                body = await render() if is_asked else b"Ask for /metrics.\n"
                writer.write(_head("200 OK" if is_asked else "404 Not Found", len(body)) + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=LONGEST_HEAD)


def _head(status: str, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n"
        "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    ).encode()
