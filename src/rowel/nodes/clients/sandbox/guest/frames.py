"""How the two sides talk: one letter, the length, the bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

#: A confined process to the server: it is up (its report follows), something was printed, and how the call ended.
READY, PRINTED, RESULT, PROBLEM, RAISED = b"R", b"P", b"A", b"X", b"E"
#: The server to a confined process: run this, or only compile it.
CALL, CHECK = b"C", b"S"

_HEADER = struct.Struct(">cI")


class FrameTooLarge(Exception):
    """The other side announced more bytes than it may send."""


def pack(kind: bytes, payload: bytes) -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload


def read(read_some: Callable[[int], bytes | None], limit: int) -> tuple[bytes, bytes] | None:
    """The next frame, or None where the stream ends. Raises `FrameTooLarge` beyond `limit` bytes."""
    header = _read_exactly(read_some, _HEADER.size)
    if header is None:
        return None
    kind, length = _HEADER.unpack(header)
    if length > limit:
        raise FrameTooLarge
    payload = _read_exactly(read_some, length)
    return None if payload is None else (kind, payload)


def _read_exactly(read_some: Callable[[int], bytes | None], length: int) -> bytes | None:
    received = bytearray()
    while len(received) < length:
        chunk = read_some(min(length - len(received), 1 << 20))
        if not chunk:
            return None
        received += chunk
    return bytes(received)
