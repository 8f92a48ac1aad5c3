"""Takes a backup of a data directory, beside the engine that works on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rowel.core.errors import Conflict, NotFound, Unavailable
from rowel.engine.backup.archive import DATABASE, FILES, PART, ArchiveWriter, Contents
from rowel.files.disk import NewFile
from rowel.files.store import FileStore, Stored
from rowel.store.copies import Figures, copy_database, figures, forget_files, named_files

#: The folders of files; those in the first have no records that name them.
UPLOADS, NAMED = "uploads", ("datasets", "outputs")


@dataclass(frozen=True)
class Taken:
    """A backup that is on the disk."""

    contents: Contents
    files: int
    #: Bytes of the files and the database.
    size: int


def take_backup(data: Path, target: Path, files: FileStore, now: datetime) -> Taken:
    """Write the database of `data` as it is now, and the files that it names, into one new file.

    The database comes first and the files after it: those that it names were whole before. What is deleted meanwhile
    is not in the backup, and its records are not either. The file is there at once, or not at all.

    Raises `NotFound` where there is no database, or no directory for the file; `Conflict` where `target` is there
    already; `Invalid` where the database is damaged; `Unavailable` where something can't be read or written.
    """
    if not (data / DATABASE).is_file():
        raise NotFound(f"There is no database in {data}.")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"There is no directory {target.parent}.")
    if target.exists():
        raise Conflict(f"{target} is there already; choose another name.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".rowel-backup-") as place:
            copy = Path(place) / DATABASE
            copy_database(data / DATABASE, copy)
            return _write(target, copy, data / DATABASE, files, now)
    except OSError as error:
        raise Unavailable(f"{error.filename or target} can't be written: {error.strerror}") from error


def _write(target: Path, copy: Path, source: Path, files: FileStore, now: datetime) -> Taken:
    found = figures(copy)
    contents = _contents(found, now)
    file = NewFile(target)
    try:
        file.open()
        archive = ArchiveWriter(file.write, int(now.timestamp()))
        archive.add_contents(contents)
        kept = _add_files(archive, files, named_files(copy))
        missing = named_files(copy) - kept
        _refuse_lost_files(missing & named_files(source))
        forget_files(copy, missing)
        archive.add(DATABASE, copy.stat().st_size, _blocks(copy))
        archive.close()
        file.publish()
        return Taken(contents, len(kept), archive.size)
    finally:
        file.close()


def _refuse_lost_files(keys: set[str]) -> None:
    """Whatever is deleted loses its record before its bytes. Where the record is still there, the bytes are lost, or
    they were looked for in the wrong place."""
    if keys:
        some = ", ".join(sorted(keys)[:3])
        raise Unavailable(
            f"{len(keys)} files that the database names are not to be found ({some}). Is ROWEL_FILES_URL set as for "
            "the server? What is lost for good can be deleted by the API."
        )


def _contents(found: Figures, now: datetime) -> Contents:
    return Contents(
        made_at=now.isoformat(timespec="seconds"),
        revision=found.revision,
        workflows=found.workflows,
        runs=found.runs,
        open_runs=found.open_runs,
    )


def _add_files(archive: ArchiveWriter, files: FileStore, named: set[str]) -> set[str]:
    """Add the named files and all uploads. Return the keys of those that were still there."""
    kept = set()
    for stored in _wanted(files, named):
        blocks = files.blocks(stored.key)
        try:
            first = next(blocks, b"")
        except NotFound:
            continue
        archive.add(FILES + stored.key, stored.size, _chained(first, blocks))
        kept.add(stored.key)
    return kept


def _wanted(files: FileStore, named: set[str]) -> Iterator[Stored]:
    for folder in NAMED:
        yield from (stored for stored in files.list(folder) if stored.key in named)
    yield from files.list(UPLOADS)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(PART):
            yield block
