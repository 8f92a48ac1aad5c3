"""Files in a directory of this machine. What was written is on the disk before it is told of."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec

from rowel.core.errors import Unavailable
from rowel.files.disk import NewFile, is_piece, remove_file
from rowel.files.refusals import cannot_delete, cannot_keep, cannot_read, missing
from rowel.files.threads import in_thread

#: Bytes read at a time.
READ = 1024 * 1024

Taken = ParamSpec("Taken")


class Directory:
    """The files below a directory, which is made where it is missing."""

    def __init__(self, root: Path, new_file: Callable[[Path], NewFile] = NewFile) -> None:
        self._root = root
        self._new_file = new_file
        self._made: Any = None

    async def write(self, key: str, parts: AsyncIterator[bytes]) -> None:
        file = self._new_file(self.place(key))
        try:
            await _on_disk(cannot_keep, file.open)
            async for part in parts:
                await _on_disk(cannot_keep, file.write, part)
            await _on_disk(cannot_keep, file.publish)
        finally:
            await in_thread(file.close)

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        import obstore

        with _finding(key):
            found = await obstore.get_async(self._store, self._find(key))
            async for part in found.stream(min_chunk_size=READ):
                yield bytes(part)

    def blocks(self, key: str, offset: int) -> Iterator[bytes]:
        import obstore

        with _finding(key):
            if offset >= obstore.head(self._store, self._find(key))["size"]:
                return
            found = obstore.get(self._store, key, options={"range": {"offset": offset}})
            for part in found.stream(min_chunk_size=READ):
                yield bytes(part)

    async def size(self, key: str) -> int:
        import obstore

        with _finding(key):
            found = await obstore.head_async(self._store, self._find(key))
        return int(found["size"])

    async def delete(self, key: str) -> None:
        if (path := self.place(key)).is_file():
            await _on_disk(cannot_delete, remove_file, path)

    def list(self, folder: str) -> Iterator[tuple[str, int, datetime]]:
        with _walking():
            for entry in _files_below(self._root / folder):
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    key = Path(entry.path).relative_to(self._root).as_posix()
                    yield key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def sweep_pieces(self, before: datetime, *, is_only_asked: bool) -> tuple[int, int]:
        count = total = 0
        with _walking():
            for entry in _files_below(self._root):
                if not is_piece(entry.name) or entry.stat().st_mtime >= before.timestamp():
                    continue
                count, total = count + 1, total + entry.stat().st_size
                if not is_only_asked:
                    os.unlink(entry.path)
        return count, total

    def path(self, key: str) -> Path:
        """Where the file lies. Raises `NotFound`."""
        return self.place(self._find(key))

    def place(self, key: str) -> Path:
        """Where a file of this key belongs. A symbolic link that leads out of the root is no place."""
        path = self._root / key
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise missing(key)
        return path

    def _find(self, key: str) -> str:
        if not self.place(key).is_file():
            raise missing(key)
        return key

    @property
    def _store(self) -> Any:
        if self._made is None:
            from obstore.store import LocalStore

            self._made = LocalStore(self._root, mkdir=True)
        return self._made


@contextmanager
def _walking() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_read(error.strerror or type(error).__name__) from error


def _files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


async def _on_disk(
    refusal: Callable[[str], Unavailable],
    call: Callable[Taken, None],
    *args: Taken.args,
    **kwargs: Taken.kwargs,
) -> None:
    try:
        await in_thread(call, *args, **kwargs)
    except OSError as error:
        raise refusal(error.strerror or type(error).__name__) from error


@contextmanager
def _finding(key: str) -> Iterator[None]:
    import obstore

    try:
        yield
    except FileNotFoundError:
        raise missing(key) from None
    except obstore.exceptions.BaseError as error:
        raise cannot_read(type(error).__name__) from error
