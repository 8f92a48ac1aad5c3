"""Which rows are read, and how much of the dataset for it."""

import pytest

import rowel.engine.rows
from rowel.core.selections import Selection
from rowel.engine.output import NEVER_RUN, merged
from rowel.engine.rows import selected_rows
from rowel.files.datasets import rows
from tests.support.house import upload


@pytest.fixture
async def dataset(engine):
    return await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(50_000)))


async def numbers(engine, dataset, selection, start=0):
    stream = selected_rows(engine._house.files, dataset, selection, start)
    return [int(row.values["n"]) async for row in stream]


async def test_the_rows_of_a_selection_come_in_order(engine, dataset):
    wanted = [0, 1, 5, 299, 300, 9_999, 10_000, 45_000, 49_999]

    assert await numbers(engine, dataset, Selection.of(wanted)) == wanted
    assert await numbers(engine, dataset, Selection.of(wanted), start=6) == wanted[3:]
    assert await numbers(engine, dataset, Selection.of(wanted), start=50_000) == []


async def test_what_lies_far_between_is_not_read(engine, dataset, monkeypatch):
    starts, read = [], []

    async def counting(*arguments, start, **options):
        starts.append(start)
        async for chunk in rows(*arguments, start=start, **options):
            read.append(len(chunk))
            yield chunk

    monkeypatch.setattr(rowel.engine.rows, "rows", counting)
    assert await numbers(engine, dataset, Selection.of([7, 300, 40_000])) == [7, 300, 40_000]

    assert starts == [7, 40_000]
    assert sum(read) < 2_000


async def numbered(*lines):
    for number, line in lines:
        yield number, line


async def test_the_newer_line_of_each_row_counts():
    newer, older = numbered((1, "one"), (3, "three")), numbered((0, "zero"), (1, "old"), (4, "four"))

    found = [pair async for pair in merged(newer, older, range(6))]

    assert [number for number, _ in found] == list(range(6))
    assert [line for _, line in found if NEVER_RUN not in line] == ["zero", "one", "three", "four"]
    assert found[2][1] == f'{{"error":"{NEVER_RUN}","row_index":2,"run_id":null}}'
