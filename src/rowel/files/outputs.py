"""Output files: written line by line, there all at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rowel.files.store import FileStore

#: Bytes collected before they go to the store.
PART = 1024 * 1024


async def write_lines(store: FileStore, key: str, lines: AsyncIterator[str]) -> int:
    """Keep the lines as one file, which appears whole or not at all; return its size in bytes."""
    return await store.write(key, _parts(lines))


async def _parts(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    part = bytearray()
    async for line in lines:
        part += line.encode() + b"\n"
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
    yield bytes(part)
