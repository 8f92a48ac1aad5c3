"""Puts a backup into an empty data directory."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from rowel.core.errors import Conflict, Invalid, NotFound, Unavailable
from rowel.engine.backup.archive import DATABASE, FILES, NOT_WHOLE, ArchiveReader, Contents, Member
from rowel.engine.lock import RESTORING, DataDirectoryLock
from rowel.files.disk import NewFile, make_directories, sync_directory
from rowel.files.store import FileStore
from rowel.store.copies import check_database, figures

LOCK = "rowel.lock"


@dataclass(frozen=True)
class PutBack:
    """A data directory that is whole again."""

    contents: Contents
    files: int
    #: Bytes of the files and the database.
    size: int


async def put_back(source: Path, data: Path, files: FileStore | None = None) -> PutBack:
    """Unpack a backup into `data`, which must be empty or missing. With `files` the files go there, else into it.

    All of it is checked against the backup's sums before the directory can be served; one that is interrupted is begun
    anew by the next call. Raises `NotFound` where there is no backup, `Conflict` where the directory is in use or not
    empty, `Invalid` where the backup is not whole or of a newer Rowel, `Unavailable` where something can't be written.
    """
    try:
        lock = _hold(source, data)
        try:
            return await _unpack(source, data, files)
        finally:
            lock.release()
    except OSError as error:
        raise Unavailable(f"{error.filename or data} can't be written: {error.strerror}") from error


def _hold(source: Path, data: Path) -> DataDirectoryLock:
    if not source.is_file():
        raise NotFound(f"There is no backup {source}.")
    make_directories(data.absolute())
    lock = DataDirectoryLock(data)
    _refuse_what_is_there(data, lock)
    lock.hold(None)
    return lock


def _refuse_what_is_there(data: Path, lock: DataDirectoryLock) -> None:
    there = {path.name for path in data.iterdir()}
    if RESTORING in there or not there - {LOCK}:
        return
    if LOCK in there:
        lock.hold(None)
        lock.release()
    raise Conflict(f"{data} is not empty; name a new directory, or move what is there away.", "not_empty")


async def _unpack(source: Path, data: Path, files: FileStore | None) -> PutBack:
    _clear(data)
    place = data / RESTORING
    make_directories(place)
    try:
        with source.open("rb") as file:
            archive = ArchiveReader(file)
            members = await _keep_all(archive, place, files or FileStore(str(place / FILES)))
        check_database(place / DATABASE)
        figures(place / DATABASE)
    except BaseException:
        _clear(data)
        raise
    _publish(data)
    return PutBack(archive.contents, len(members) - 1, sum(members))


async def _keep_all(archive: ArchiveReader, place: Path, files: FileStore) -> list[int]:
    """Write what the backup holds. Return the size of each part in bytes."""
    sizes = []
    for member in archive.members():
        if member.name == DATABASE:
            _write(place / DATABASE, member.blocks)
        else:
            await _keep(member, files)
        sizes.append(member.size)
    if not (place / DATABASE).is_file():
        raise Invalid(NOT_WHOLE)
    return sizes


async def _keep(member: Member, files: FileStore) -> None:
    try:
        await files.write(member.name.removeprefix(FILES), _one_by_one(member.blocks))
    except NotFound:
        raise Invalid(f"The backup holds {member.name[:256]!r}, which is no file of Rowel's.") from None


async def _one_by_one(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


def _write(path: Path, blocks: Iterator[bytes]) -> None:
    file = NewFile(path)
    try:
        file.open()
        for block in blocks:
            file.write(block)
        file.publish()
    finally:
        file.close()


def _clear(data: Path) -> None:
    """Remove what an earlier restore brought, and nothing else: the directory was empty when that began."""
    (data / DATABASE).unlink(missing_ok=True)
    shutil.rmtree(data / FILES, ignore_errors=True)
    shutil.rmtree(data / RESTORING, ignore_errors=True)


def _publish(data: Path) -> None:
    """Move everything to its place; the directory can be served once what is left of the restore is gone."""
    place = data / RESTORING
    for name in (FILES, DATABASE):
        if (place / name).exists():
            (place / name).rename(data / name)
    sync_directory(data)
    place.rmdir()
    sync_directory(data)
