"""Rowel's own files, by opaque keys: in a local directory, or in the bucket of a URL."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rowel.core.errors import TooLarge
from rowel.files.bucket import Bucket
from rowel.files.directory import Directory
from rowel.files.disk import NewFile
from rowel.files.refusals import missing

#: What a key may look like: folders and names of ours, none longer than a file system takes, never a way out.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,254})+")
#: Bytes that are collected before they go to the disk or over the network.
PART = 1024 * 1024


@dataclass(frozen=True)
class Stored:
    """A file that is there: its key, its size in bytes, and when it was written."""

    key: str
    size: int
    written_at: datetime


class Place(Protocol):
    """Where files lie. A file appears whole or not at all, and replaces what was there. Keys are lawful ones.

    Whatever the disk or the bucket doesn't do is `Unavailable`; what is not there is `NotFound`.
    """

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> None: ...

    def stream(self, key: str) -> AsyncIterator[bytes]: ...

    def blocks(self, key: str, offset: int) -> Iterator[bytes]: ...

    async def size(self, key: str) -> int: ...

    async def delete(self, key: str) -> None: ...

    def list(self, folder: str) -> Iterator[tuple[str, int, datetime]]: ...

    def sweep_pieces(self, before: datetime, *, is_only_asked: bool) -> tuple[int, int]: ...


class FileStore:
    """Files under one root. A file appears whole or not at all; on a local disk it is synced before it is told of."""

    def __init__(self, root: str, new_file: Callable[[Path], NewFile] = NewFile) -> None:
        """`root` is a directory, made where it is missing, or a URL such as `s3://bucket/prefix`. `new_file` begins a
        file in a directory.

        Raises `Invalid` for a URL that can mean no bucket.
        """
        if root.startswith("file://"):
            root = url2pathname(urlsplit(root).path)
        self._directory = None if "://" in root else Directory(Path(root), new_file)
        self._place: Place = self._directory or Bucket(root)

    async def write(self, key: str, stream: AsyncIterator[bytes], *, limit: int | None = None) -> int:
        """Keep what the stream gives and return its size in bytes.

        Raises `TooLarge` past `limit` bytes, and `Unavailable` where the disk or the bucket takes nothing (more);
        then, and when the stream fails, nothing is kept, and a file that was there before stays as it was.
        """
        counted = _Counted(stream, limit)
        await self._place.write(_checked(key), aiter(counted))
        return counted.size

    async def read(self, key: str) -> bytes:
        """The whole file. Raises `NotFound` and `Unavailable`."""
        return b"".join([part async for part in self.stream(key)])

    async def open(self, key: str) -> AsyncIterator[bytes]:
        """The file in parts. Raises `NotFound`, and `Unavailable` where not even the first part can be read."""
        parts = self.stream(key)
        first = await anext(parts, b"")
        return _chained(first, parts)

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The file in parts. Raises `NotFound` at the first step, `Unavailable` at any."""
        async for part in self._place.stream(_checked(key)):
            yield part

    def blocks(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """The file in parts from byte `offset` on, read by blocking calls. Raises `NotFound` at the first step,
        `Unavailable` at any."""
        yield from self._place.blocks(_checked(key), offset)

    async def size(self, key: str) -> int:
        """The file's size in bytes. Raises `NotFound` and `Unavailable`."""
        return await self._place.size(_checked(key))

    async def delete(self, key: str) -> None:
        """Remove the file; one that is gone already is no error. Raises `Unavailable`."""
        await self._place.delete(_checked(key))

    def list(self, folder: str) -> Iterator[Stored]:
        """The files below a folder (such as `outputs`), in no order, read by blocking calls. Raises `Unavailable`."""
        for key, size, written_at in self._place.list(folder):
            if _KEY.fullmatch(key):
                yield Stored(key, size, written_at)

    def sweep_pieces(self, before: datetime, *, is_only_asked: bool = False) -> tuple[int, int]:
        """Delete what writes before that moment left unfinished. Return the number of pieces and their bytes. Blocks.

        A bucket does that itself, by its rules for incomplete uploads. Raises `Unavailable`.
        """
        return self._place.sweep_pieces(before, is_only_asked=is_only_asked)

    def local_path(self, key: str) -> Path | None:
        """Where the file lies on this machine; None where files lie elsewhere. Raises `NotFound`."""
        return None if self._directory is None else self._directory.path(_checked(key))


class _Counted:
    """A stream in parts of some size, which counts its bytes and ends with `TooLarge` past a limit."""

    def __init__(self, stream: AsyncIterator[bytes], limit: int | None) -> None:
        self._stream = stream
        self._limit = limit
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        part = bytearray()
        async for data in self._stream:
            self.size += len(data)
            if self._limit is not None and self.size > self._limit:
                raise TooLarge(f"The file is larger than {self._limit:,} bytes, which is the limit.")
            part += data
            if len(part) >= PART:
                yield bytes(part)
                part.clear()
        yield bytes(part)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or len(key) > 1024:
        raise missing(key)
    return key
