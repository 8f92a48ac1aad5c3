"""Rowel's own files, by opaque keys, over obstore: a local directory, or the bucket of a URL."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from rowel.core.errors import NotFound, TooLarge

#: What a key may look like: folders and names of ours, never a way out.
_KEY = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")


class FileStore:
    """Files under one root. A file appears whole or not at all; on a local disk it is synced before it is told of."""

    def __init__(self, root: str) -> None:
        """`root` is a directory, made where it is missing, or a URL such as `s3://bucket/prefix`."""
        self._root = root
        self._is_local = "://" not in root
        self._made: Any = None

    @property
    def _store(self) -> Any:
        if self._made is None:
            from obstore.store import LocalStore, from_url

            self._made = LocalStore(self._root, mkdir=True) if self._is_local else from_url(self._root)
        return self._made

    async def write(self, key: str, stream: AsyncIterator[bytes], *, limit: int | None = None) -> int:
        """Keep what the stream gives and return its size in bytes.

        Raises `TooLarge` past `limit` bytes; then, and when the stream fails, nothing is kept.
        """
        import obstore

        counted = _Counted(_checked(key), stream, limit)
        await obstore.put_async(self._store, key, aiter(counted))
        if self._is_local:
            _sync(self.local_path(key))
        return counted.size

    async def read(self, key: str) -> bytes:
        """The whole file. Raises `NotFound`."""
        return b"".join([part async for part in self.stream(key)])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The file in parts. Raises `NotFound` at the first step."""
        import obstore

        try:
            found = await obstore.get_async(self._store, _checked(key))
        except FileNotFoundError:
            raise _missing(key) from None
        async for part in found.stream(min_chunk_size=1024 * 1024):
            yield bytes(part)

    def blocks(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """The file in parts from byte `offset` on, read by blocking calls. Raises `NotFound` at the first step."""
        import obstore

        try:
            if offset >= obstore.head(self._store, _checked(key))["size"]:
                return
            found = obstore.get(self._store, _checked(key), options={"range": {"offset": offset}})
        except FileNotFoundError:
            raise _missing(key) from None
        for part in found.stream(min_chunk_size=1024 * 1024):
            yield bytes(part)

    async def size(self, key: str) -> int:
        """The file's size in bytes. Raises `NotFound`."""
        import obstore

        try:
            found = await obstore.head_async(self._store, _checked(key))
        except FileNotFoundError:
            raise _missing(key) from None
        return int(found["size"])

    async def delete(self, key: str) -> None:
        """Remove the file; one that is gone already is no error."""
        import obstore

        try:
            await obstore.delete_async(self._store, _checked(key))
        except FileNotFoundError:
            return

    def local_path(self, key: str) -> Path:
        """Where the file lies on this machine; for local roots only."""
        return Path(self._root) / _checked(key)

    @property
    def is_local(self) -> bool:
        return self._is_local


class _Counted:
    """A stream that counts its bytes and ends with `TooLarge` past a limit."""

    def __init__(self, key: str, stream: AsyncIterator[bytes], limit: int | None) -> None:
        self._key = key
        self._stream = stream
        self._limit = limit
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self.size += len(part)
            if self._limit is not None and self.size > self._limit:
                raise TooLarge(f"The file is larger than {self._limit} bytes, which is the limit.")
            yield part


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or len(key) > 1024:
        raise _missing(key)
    return key


def _missing(key: str) -> NotFound:
    return NotFound(f"Rowel has no file {key[:256]!r}.")


def _sync(path: Path) -> None:
    """Force the file and its name to the disk."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(place, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
