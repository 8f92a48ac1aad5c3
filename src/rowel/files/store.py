"""Rowel's own files, by opaque keys: a local directory, or the bucket of a URL, over obstore."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rowel.core.errors import NotFound, TooLarge, Unavailable
from rowel.files.disk import NewFile, remove_file
from rowel.files.threads import in_thread

#: What a key may look like: folders and names of ours, none longer than a file system takes, never a way out.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,254})+")
#: Bytes that are collected before they go to the disk or over the network.
PART = 1024 * 1024

Taken = ParamSpec("Taken")


class FileStore:
    """Files under one root. A file appears whole or not at all; on a local disk it is synced before it is told of."""

    def __init__(self, root: str) -> None:
        """`root` is a directory, made where it is missing, or a URL such as `s3://bucket/prefix`."""
        if root.startswith("file://"):
            root = url2pathname(urlsplit(root).path)
        self._root = root
        self._is_local = "://" not in root
        self._made: Any = None

    @property
    def is_local(self) -> bool:
        """Whether the files lie on this machine's disk."""
        return self._is_local

    @property
    def _store(self) -> Any:
        if self._made is None:
            from obstore.store import LocalStore, from_url

            self._made = LocalStore(self._root, mkdir=True) if self._is_local else from_url(self._root)
        return self._made

    async def write(self, key: str, stream: AsyncIterator[bytes], *, limit: int | None = None) -> int:
        """Keep what the stream gives and return its size in bytes.

        Raises `TooLarge` past `limit` bytes, and `Unavailable` where the disk or the bucket takes nothing (more);
        then, and when the stream fails, nothing is kept, and a file that was there before stays as it was.
        """
        counted = _Counted(stream, limit)
        if self._is_local:
            await _write_to_disk(self._place(key), counted)
        else:
            import obstore

            with _writing(obstore.exceptions.BaseError):
                await obstore.put_async(self._store, _checked(key), aiter(counted))
        return counted.size

    async def read(self, key: str) -> bytes:
        """The whole file. Raises `NotFound`."""
        return b"".join([part async for part in self.stream(key)])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """The file in parts. Raises `NotFound` at the first step."""
        import obstore

        with _finding(key):
            found = await obstore.get_async(self._store, self._find(key))
        async for part in found.stream(min_chunk_size=PART):
            yield bytes(part)

    def blocks(self, key: str, offset: int = 0) -> Iterator[bytes]:
        """The file in parts from byte `offset` on, read by blocking calls. Raises `NotFound` at the first step."""
        import obstore

        with _finding(key):
            if offset >= obstore.head(self._store, self._find(key))["size"]:
                return
            found = obstore.get(self._store, key, options={"range": {"offset": offset}})
        for part in found.stream(min_chunk_size=PART):
            yield bytes(part)

    async def size(self, key: str) -> int:
        """The file's size in bytes. Raises `NotFound`."""
        import obstore

        with _finding(key):
            found = await obstore.head_async(self._store, self._find(key))
        return int(found["size"])

    async def delete(self, key: str) -> None:
        """Remove the file; one that is gone already is no error. Raises `Unavailable` where the disk refuses."""
        if self._is_local:
            if (path := self._place(key)).is_file():
                await _on_disk(remove_file, path)
            return
        import obstore

        try:
            with _writing(obstore.exceptions.BaseError):
                await obstore.delete_async(self._store, _checked(key))
        except FileNotFoundError:
            return

    def local_path(self, key: str) -> Path:
        """Where the file lies on this machine; for local roots only. Raises `NotFound`."""
        return self._place(self._find(key))

    def _find(self, key: str) -> str:
        """The key, when it can be one of a file. Raises `NotFound`."""
        if self._is_local and not self._place(key).is_file():
            raise _missing(key)
        return _checked(key)

    def _place(self, key: str) -> Path:
        """Where a file of this key belongs. A symbolic link that leads out of the root is no place."""
        root = Path(self._root)
        path = root / _checked(key)
        if not path.resolve().is_relative_to(root.resolve()):
            raise _missing(key)
        return path


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


async def _write_to_disk(path: Path, stream: _Counted) -> None:
    file = NewFile(path)
    try:
        await _on_disk(file.open)
        async for part in stream:
            await _on_disk(file.write, part)
        await _on_disk(file.publish)
    finally:
        await in_thread(file.close)


async def _on_disk(call: Callable[Taken, None], *args: Taken.args, **kwargs: Taken.kwargs) -> None:
    with _writing(OSError):
        await in_thread(call, *args, **kwargs)


@contextmanager
def _writing(trouble: type[Exception]) -> Iterator[None]:
    """Where a full disk or an unreachable bucket is no fault of the client's."""
    try:
        yield
    except trouble as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise Unavailable(f"The file can't be kept at the moment ({why}); try again later.") from error


@contextmanager
def _finding(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _missing(key) from None


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or len(key) > 1024:
        raise _missing(key)
    return key


def _missing(key: str) -> NotFound:
    return NotFound(f"Rowel has no file {key[:256]!r}.")
