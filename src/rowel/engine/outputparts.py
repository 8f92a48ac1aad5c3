"""Writes a batch's output file: a long one in parts, so that whoever takes the batch over need not begin anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace

from rowel.core.errors import NotFound, Unavailable
from rowel.core.records import OutputFile, Run
from rowel.engine.house import House
from rowel.engine.output import Reading, lines, numbered
from rowel.files.outputs import write_lines
from rowel.files.store import FileStore

#: Rows of one part, which takes about a second. A file of fewer rows is written at once.
ROWS = 10_000


async def write_output(
    house: House, run: Run, file: OutputFile, rows: int, tell: Callable[[], Awaitable[object]]
) -> OutputFile:
    """Write the whole file, which appears at once; `tell` is called after each part, which stays if we end here.

    All rows must have ended: a part that is there is not written again. Raises `Unavailable`.
    """
    keys = _keys(file, rows)
    missing = [place for place, key in enumerate(keys) if not await _is_there(house.files, key)]
    if missing:
        # Read once for all of them: what came before a redrive can only be read from its beginning.
        async with aclosing(numbered(house, run, missing[0] * ROWS)) as pairs:
            reading = Reading(pairs)
            for place in missing:
                await write_lines(house.files, keys[place], _lines_of(reading, place))
                await tell()
    if keys:
        await house.files.write(file.key, _joined(house.files, keys))
    else:
        await write_lines(house.files, file.key, lines(house, run))
    return replace(file, is_ready=True, updated_at=max(file.created_at, house.now()))


async def delete_parts(house: House, file: OutputFile, rows: int) -> None:
    """Remove what the file was made of, now that nobody will ask for it. What can't be removed is left to retention."""
    with suppress(Unavailable):
        for key in _keys(file, rows):
            await house.files.delete(key)


def _keys(file: OutputFile, rows: int) -> list[str]:
    """None where the file is written at once. No record has such names, so retention finds what is left of them."""
    return [f"{file.key}.{place}" for place in range(-(-rows // ROWS))] if rows > ROWS else []


async def _lines_of(reading: Reading, place: int) -> AsyncIterator[str]:
    for row in range(place * ROWS, (place + 1) * ROWS):
        if (line := await reading.at(row)) is not None:
            yield line


async def _is_there(files: FileStore, key: str) -> bool:
    try:
        await files.size(key)
    except NotFound:
        return False
    return True


async def _joined(files: FileStore, keys: list[str]) -> AsyncIterator[bytes]:
    try:
        for key in keys:
            async for block in files.stream(key):
                yield block
    except NotFound as error:
        raise Unavailable(f"A part of the output file is gone; it is written again. {error}") from error
