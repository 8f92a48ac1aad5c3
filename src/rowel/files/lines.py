"""Reads a file line by line, knowing where each line begins."""

from __future__ import annotations

from collections.abc import Iterator

from rowel.core.errors import InvalidDataset
from rowel.files.rows import MAX_ROW

BOM = b"\xef\xbb\xbf"


class Lines:
    """Lines of text with their ends (LF, CR LF or CR).

    `offset` is where the next line begins, `number` counts those read.
    """

    def __init__(self, blocks: Iterator[bytes], offset: int = 0) -> None:
        self._reading = self._split(blocks)
        self._start = offset
        self.offset = offset
        self.number = 0
        self.begin_row()

    def __iter__(self) -> Iterator[str]:
        """Go on where the last reader stopped."""
        for line in self._reading:
            is_first = self.offset == 0
            self.offset += len(line)
            self.number += 1
            if self.offset - self._row_offset > MAX_ROW:
                raise self._too_long()
            yield self._decode(line.removeprefix(BOM) if is_first else line)

    def begin_row(self) -> None:
        """From here on, lines count towards the size of one row."""
        self._row_offset = self.offset
        self._row_number = self.number + 1

    @property
    def row_size(self) -> int:
        """Bytes read since the row began."""
        return self.offset - self._row_offset

    def place(self, number: int) -> str:
        """How to tell a person of a line: by its number, from the byte on where reading began."""
        return f"Line {number:,}" if self._start == 0 else f"Line {number:,} after byte {self._start:,}"

    def _too_long(self) -> InvalidDataset:
        place = self.place(self._row_number)
        return InvalidDataset(f"{place}: the row is longer than {MAX_ROW:,} bytes, which is the limit.")

    def _decode(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise InvalidDataset(
                f"{self.place(self.number)} is not UTF-8 (byte {error.start + 1} of the line). Save the file as UTF-8."
            ) from None

    def _split(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        rest = b""
        for block in blocks:
            # Bytes are split at LF, CR LF and CR only. A CR at the end may be half of a CR LF: it waits.
            whole = (rest + block).splitlines(keepends=True)
            rest = whole.pop() if whole and not whole[-1].endswith(b"\n") else b""
            yield from whole
            if len(rest) > MAX_ROW:
                raise self._too_long()
        if rest:
            yield rest
