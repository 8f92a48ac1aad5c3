"""A new file on this machine's disk: there all at once, and still there after a power cut."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path
from typing import BinaryIO

#: Where an open file can be given a name, on Linux.
_DESCRIPTORS = Path("/proc/self/fd")
#: What a file system answers that makes no files without a name.
_NOT_OFFERED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
#: How the hidden name ends that a file has before it is whole.
_PIECE = ".part"


class NewFile:
    """Bytes on their way to `path`. Every method blocks.

    On Linux the file has no name while it is written, so that not even a killed process leaves a piece of it behind.
    Elsewhere it has a hidden one beside its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{uuid.uuid4().hex}{_PIECE}")
        self._file: BinaryIO | None = None
        self._has_name = False

    def open(self) -> None:
        """Make the file and the directories above it."""
        make_directories(self._path.parent)
        self._file = self._open_unnamed() or self._open_named()

    def write(self, data: bytes) -> None:
        self._opened.write(data)

    def publish(self) -> None:
        """Put the file in its place, where it replaces what was there."""
        file = self._opened
        file.flush()
        os.fsync(file.fileno())
        if not self._has_name:
            self._name(file.fileno())
        os.replace(self._part, self._path)
        self._has_name = False
        sync_directory(self._path.parent)

    def close(self) -> None:
        """Let go of the file; without `publish`, nothing of it stays."""
        try:
            if self._file is not None:
                self._file.close()
        finally:
            if self._has_name:
                self._part.unlink(missing_ok=True)

    @property
    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def _open_unnamed(self) -> BinaryIO | None:
        unnamed: int | None = getattr(os, "O_TMPFILE", None)
        if unnamed is None or not _DESCRIPTORS.is_dir():
            return None
        try:
            return os.fdopen(os.open(self._path.parent, unnamed | os.O_WRONLY | os.O_CLOEXEC, 0o644), "wb")
        except OSError as error:
            if error.errno in _NOT_OFFERED:
                return None
            raise

    def _open_named(self) -> BinaryIO:
        self._has_name = True
        return self._part.open("xb")

    def _name(self, descriptor: int) -> None:
        """Give the unnamed file its hidden name."""
        directory = os.open(self._part.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Only with a directory does Python's link follow the descriptor's symbolic link.
            os.link(
                _DESCRIPTORS / str(descriptor), self._part.name, dst_dir_fd=directory, follow_symlinks=True
            )
        finally:
            os.close(directory)
        self._has_name = True


def is_piece(name: str) -> bool:
    """Whether a file of this name was never finished."""
    return name.startswith(".") and name.endswith(_PIECE)


def make_directories(path: Path) -> None:
    """Make a directory and those above it, each on the disk before this returns."""
    if path.is_dir():
        return
    make_directories(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file for good; one that is gone already is no error."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Force the names in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
