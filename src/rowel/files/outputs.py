"""Output files: written line by line, there all at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rowel.files.store import FileStore


async def write_lines(store: FileStore, key: str, lines: AsyncIterator[str]) -> int:
    """Keep the lines as one file, which appears whole or not at all; return its size in bytes."""
    return await store.write(key, _encoded(lines))


async def read_lines(store: FileStore, key: str) -> AsyncIterator[str]:
    """The lines of such a file, as they arrive. Raises `NotFound` at the first step."""
    rest = b""
    async for part in store.stream(key):
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line.decode()


async def _encoded(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line.encode() + b"\n"
