from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowel.core.errors import NotFound
from rowel.files.outputs import write_lines
from rowel.files.store import PART, FileStore


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def breaking(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text
    raise RuntimeError("the store is gone")


async def test_each_line_ends_with_a_newline(store: FileStore) -> None:
    size = await write_lines(store, "outputs/o.jsonl", lines('{"a":1}', '{"a":"é"}'))
    assert await store.read("outputs/o.jsonl") == '{"a":1}\n{"a":"é"}\n'.encode()
    assert size == 19


async def test_no_lines_make_an_empty_file(store: FileStore) -> None:
    assert await write_lines(store, "outputs/o.jsonl", lines()) == 0
    assert await store.read("outputs/o.jsonl") == b""


async def test_many_lines_arrive_whole_and_in_order(store: FileStore) -> None:
    texts = [str(n) * 20 for n in range(30_000)]
    assert await write_lines(store, "outputs/o.jsonl", lines(*texts)) > 2 * PART
    assert (await store.read("outputs/o.jsonl")).decode().splitlines() == texts


async def test_a_half_written_file_is_not_to_be_seen(directory: FileStore, root: Path) -> None:
    seen: list[list[Path]] = []

    async def watched() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x" * PART
            seen.append(files_below(root))

    await write_lines(directory, "outputs/o.jsonl", watched())
    assert seen == [[], [], []]
    assert await directory.size("outputs/o.jsonl") == 3 * (PART + 1)


async def test_a_file_that_could_not_be_finished_is_not_there(store: FileStore) -> None:
    with pytest.raises(RuntimeError):
        await write_lines(store, "outputs/o.jsonl", breaking("1", "2"))
    with pytest.raises(NotFound):
        await store.read("outputs/o.jsonl")


async def test_writing_it_twice_gives_the_same_bytes(store: FileStore) -> None:
    await write_lines(store, "outputs/o.jsonl", lines("1"))
    await write_lines(store, "outputs/o.jsonl", lines("1"))
    assert await store.read("outputs/o.jsonl") == b"1\n"
