"""Reads a file line by line, knowing where each line begins."""

from __future__ import annotations

from collections.abc import Iterator

from rowel.core.errors import InvalidDataset

#: Bytes one line may have.
MAX_LINE = 64 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


class Lines:
    """Lines of text with their line ends; `offset` is where the next one begins, `number` counts those read."""

    def __init__(self, blocks: Iterator[bytes], offset: int = 0) -> None:
        self._blocks = blocks
        self._reading = self._split()
        self.offset = offset
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        """Go on where the last reader stopped."""
        for line in self._reading:
            is_first = self.offset == 0
            self.offset += len(line)
            self.number += 1
            yield self._decode(line.removeprefix(BOM) if is_first else line)

    def _decode(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise InvalidDataset(
                f"Line {self.number} is not UTF-8 (byte {error.start + 1} of the line). Save the file as UTF-8."
            ) from None

    def _split(self) -> Iterator[bytes]:
        rest = b""
        for block in self._blocks:
            *whole, rest = (rest + block).split(b"\n") if rest else block.split(b"\n")
            for line in whole:
                yield line + b"\n"
            if len(rest) > MAX_LINE:
                raise InvalidDataset(f"Line {self.number + 1} is longer than {MAX_LINE} bytes.")
        if rest:
            yield rest
