"""Byte streams as clients send them."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def stream(*parts: bytes) -> AsyncIterator[bytes]:
    """The parts, one after another."""
    for part in parts:
        yield part


async def breaking(*parts: bytes) -> AsyncIterator[bytes]:
    """The parts, and then the connection is lost."""
    for part in parts:
        yield part
    raise ConnectionError("the client went away")


async def gathered(source: AsyncIterator[bytes]) -> bytes:
    """Everything that a stream gives."""
    return b"".join([part async for part in source])
