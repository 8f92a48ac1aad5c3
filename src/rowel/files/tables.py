"""Output files as tables: lines of JSON become rows of CSV or Parquet, however many they are.

A file is read twice: what columns there are is known at its end only. Nothing of it is kept in memory meanwhile.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from rowel.core import jsontext
from rowel.core.errors import Invalid
from rowel.files.refusals import cannot_read
from rowel.files.rows import MAX_COLUMNS
from rowel.files.threads import in_thread

#: Lines worked on at a time.
CHUNK = 500
#: Portions of so many lines that become rows of Parquet at a time, and rows of one of its groups.
PORTION = 10
GROUP = 20_000
#: Bytes handed on at a time.
PART = 1024 * 1024
_INT64 = range(-(2**63), 2**63)

Lines = Callable[[], AsyncIterator[str]]
Cells = dict[str, Any]


class OutputFormat(StrEnum):
    """How an output file is handed out."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Kind(StrEnum):
    """What a column holds; text where its values are of several kinds, or objects and lists, which are JSON then."""

    INTEGER = "Int64"
    NUMBER = "Float64"
    FLAG = "Boolean"
    TEXT = "String"


#: The columns that every table begins with.
FIRST = {"row_index": Kind.INTEGER, "error": Kind.TEXT, "run_id": Kind.TEXT}


async def table(kind: OutputFormat, lines: Lines) -> AsyncIterator[bytes]:
    """The table in parts; `lines` opens the lines it is made of. Raises `Invalid` where it has too many columns."""
    columns = await columns_of(lines())
    return _csv(columns, lines()) if kind is OutputFormat.CSV else _parquet(columns, lines())


async def columns_of(lines: AsyncIterator[str]) -> dict[str, Kind]:
    """The columns in the order in which they appear, and what they hold. Raises `Invalid`."""
    found: dict[str, Kind | None] = dict(FIRST)
    async for start, chunk in _chunks(lines):
        await in_thread(_see, found, start, chunk)
    return {name: kind or Kind.TEXT for name, kind in found.items()}


def _see(found: dict[str, Kind | None], start: int, chunk: Sequence[str]) -> None:
    for index, line in enumerate(chunk, start):
        for name, value in cells(index, line).items():
            found[name] = _widened(found.get(name), value)
        if len(found) > MAX_COLUMNS:
            raise Invalid(f"The table would have more than {MAX_COLUMNS:,} columns; fetch it as JSON lines.")


def cells(index: int, line: str) -> Cells:
    """A line's values by column: `node.field`, or what is told of a row that failed."""
    record = json.loads(line)
    found: Cells = {"row_index": index}
    if isinstance(record.get("error"), str):
        return found | {"error": record["error"], "run_id": record.get("run_id")}
    for node_id, outputs in record.items():
        found |= {f"{node_id}.{field}": value for field, value in outputs.items()}
    return found


def _widened(kind: Kind | None, value: Any) -> Kind | None:
    if value is None or kind is Kind.TEXT:
        return kind
    new = _kind_of(value)
    if kind is None or kind is new:
        return new
    return Kind.NUMBER if {kind, new} == {Kind.INTEGER, Kind.NUMBER} else Kind.TEXT


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return Kind.FLAG
    if isinstance(value, int) and value in _INT64:
        return Kind.INTEGER
    return Kind.NUMBER if isinstance(value, float) else Kind.TEXT


async def _csv(columns: dict[str, Kind], lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    yield _row(list(columns)).encode(errors="replace")
    async for start, chunk in _chunks(lines):
        yield await in_thread(_rows, columns, start, chunk)


def _rows(columns: dict[str, Kind], start: int, chunk: Sequence[str]) -> bytes:
    records = [cells(index, line) for index, line in enumerate(chunk, start)]
    text = "".join([_row([record.get(name) for name in columns]) for record in records])
    return text.encode(errors="replace")


def _row(values: Sequence[Any]) -> str:
    return ",".join([_cell(value) for value in values]) + "\r\n"


def _cell(value: Any) -> str:
    """Text always in quotes: what is empty is not what is missing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if isinstance(value, dict | list):
        return _cell(jsontext.dump(value))
    return jsontext.dump(value)


async def _parquet(columns: dict[str, Kind], lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """By way of two files that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rowel-") as folder:
        source, target = Path(folder) / "rows.csv", Path(folder) / "rows.parquet"
        try:
            ends: list[int] = []
            with source.open("wb") as file:
                async for part in _csv(columns, lines):
                    await in_thread(file.write, part)
                    ends.append(file.tell())
            await in_thread(_convert, columns, source, ends, target)
            with target.open("rb") as file:
                while part := await in_thread(_read, file):
                    yield part
        except OSError as error:
            raise cannot_read(f"its copy in {tempfile.gettempdir()}: {error.strerror}") from error


def _read(file: IO[bytes]) -> bytes:
    return file.read(PART)


def _convert(columns: dict[str, Kind], source: Path, ends: Sequence[int], target: Path) -> None:
    """`ends` are where portions of the source end; its header is the first. Polars would read it as one."""
    import polars
    from polars.io.plugins import register_io_source

    schema = {name: getattr(polars, kind.value) for name, kind in columns.items()}

    def portions(*_: Any) -> Iterator[polars.DataFrame]:
        yield polars.DataFrame(schema=schema)
        with source.open("rb") as file:
            file.seek(ends[0])
            for start, end in pairwise([*ends[:-1:PORTION], ends[-1]]):
                yield polars.read_csv(file.read(end - start), schema=schema, has_header=False)

    register_io_source(portions, schema=schema).sink_parquet(target, row_group_size=GROUP)


async def _chunks(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, list[str]]]:
    """Lines in portions, each with the number of its first."""
    start, chunk = 0, list[str]()
    async for line in lines:
        chunk.append(line)
        if len(chunk) >= CHUNK:
            yield start, chunk
            start, chunk = start + len(chunk), []
    if chunk:
        yield start, chunk
