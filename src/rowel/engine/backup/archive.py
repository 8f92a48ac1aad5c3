"""How a backup is written: a tar file. First what it is, then the files, the database, and the sums of them all.

It can be looked into without Rowel: `tar xf` it, then `sha256sum -c SHA256SUMS`.
"""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import BinaryIO, NamedTuple

from rowel.core.errors import Invalid, Unavailable

FORMAT = 1
CONTENTS = "backup.json"
DATABASE = "rowel.db"
FILES = "files/"
SUMS = "SHA256SUMS"
#: Bytes read at a time.
PART = 1024 * 1024

NO_BACKUP = "This is no backup of Rowel's."
NOT_WHOLE = "The backup is not whole: it was cut off, or something else wrote into it. Take another one."


@dataclass(frozen=True)
class Contents:
    """What a backup holds."""

    #: RFC 3339.
    made_at: str
    #: Of the database's tables.
    revision: str
    workflows: int
    runs: int
    open_runs: int


class ArchiveWriter:
    """Writes a backup from its beginning to its end."""

    def __init__(self, write: Callable[[bytes], object], time: int) -> None:
        """`write` takes the bytes; `time` is when the backup is made, in seconds since 1970."""
        self._write = write
        self._time = time
        self._sums: list[str] = []
        #: Bytes of the files and the database.
        self.size = 0

    def add(self, name: str, size: int, blocks: Iterable[bytes]) -> None:
        """Add a file of `size` bytes. Raises `Unavailable` where it has more of them, or fewer."""
        self._write(self._header(name, size))
        digest, written = sha256(), 0
        for block in blocks:
            self._write(block)
            digest.update(block)
            written += len(block)
        if written != size:
            raise Unavailable(f"{name} changed while it was copied; take another backup.")
        self._write(bytes(-size % tarfile.BLOCKSIZE))
        self._sums.append(f"{digest.hexdigest()}  {name}\n")
        self.size += size

    def add_contents(self, contents: Contents) -> None:
        self._add_text(CONTENTS, json.dumps({"format": FORMAT, **asdict(contents)}, indent=2) + "\n")

    def close(self) -> None:
        """End the backup with its sums."""
        self._add_text(SUMS, "".join(self._sums))
        self._write(bytes(2 * tarfile.BLOCKSIZE))

    def _add_text(self, name: str, text: str) -> None:
        data = text.encode()
        self.add(name, len(data), [data])
        self.size -= len(data)

    def _header(self, name: str, size: int) -> bytes:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime, entry.mode = size, self._time, 0o600
        return entry.tobuf()


class Member(NamedTuple):
    """One file of a backup."""

    name: str
    size: int
    blocks: Iterator[bytes]


class ArchiveReader:
    """Reads a backup from its beginning to its end, and knows then whether it was whole."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises `Invalid` where it is no backup, or that of a newer Rowel."""
        self._sums: dict[str, str] = {}
        with _reading(NO_BACKUP):
            self._tar = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115  # closed by who opened the file
            self.contents = self._read_contents()

    def members(self) -> Iterator[Member]:
        """The files and the database; each must be read before the next one. Raises `Invalid` where the backup is not
        whole: then whatever it gave is worth nothing."""
        expected: Mapping[str, str] = {}
        while (entry := self._next()) is not None:
            if entry.name == SUMS:
                expected = _parse_sums(self._text(entry))
            else:
                yield Member(entry.name, entry.size, self._read(entry))
        if expected != self._sums:
            raise Invalid(NOT_WHOLE)

    def _read_contents(self) -> Contents:
        entry = self._next()
        if entry is None or entry.name != CONTENTS:
            raise Invalid(NO_BACKUP)
        said = json.loads(self._text(entry))
        if said.pop("format") != FORMAT:
            raise Invalid("The backup is that of a newer Rowel. Use that version of Rowel, or a later one.")
        return Contents(**said)

    def _next(self) -> tarfile.TarInfo | None:
        with _reading(NOT_WHOLE):
            entry = self._tar.next()
        # Of many files not even the names are to be in memory at once.
        self._tar.members = []  # type: ignore[attr-defined]  # typeshed doesn't know it
        if entry is not None and not entry.isreg():
            raise Invalid(f"The backup holds {entry.name[:256]!r}, which is no file.")
        return entry

    def _text(self, entry: tarfile.TarInfo) -> str:
        return b"".join(self._read(entry)).decode()

    def _read(self, entry: tarfile.TarInfo) -> Iterator[bytes]:
        source = self._tar.extractfile(entry)
        assert source is not None
        digest = sha256()
        while True:
            with _reading(NOT_WHOLE):
                block = source.read(PART)
            if not block:
                break
            digest.update(block)
            yield block
        if entry.name != SUMS:
            self._sums[entry.name] = digest.hexdigest()


@contextmanager
def _reading(refusal: str) -> Iterator[None]:
    """Where the ways in which a tar file can be broken, compressed or not, become one sentence."""
    try:
        yield
    except (
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
    ):
        raise Invalid(refusal) from None


def _parse_sums(text: str) -> dict[str, str]:
    pairs = (line.partition("  ") for line in text.splitlines())
    return {name: digest for digest, _, name in pairs}
