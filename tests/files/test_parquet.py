from __future__ import annotations

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars
import pytest

from rowel.core.errors import InvalidDataset
from rowel.files import datasets, parquet_check, parquet_rows
from rowel.files.datasets import DatasetFormat, DatasetShape, inspect
from rowel.files.rows import MAX_FIELD
from rowel.files.store import FileStore
from tests.support.streams import stream

PARQUET = DatasetFormat.PARQUET
KEY = "datasets/d.parquet"


def as_parquet(columns: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    polars.DataFrame(columns).write_parquet(buffer, **options)
    return buffer.getvalue()


async def shape_of(store: FileStore, content: bytes) -> DatasetShape:
    await store.write(KEY, stream(content))
    return await inspect(store, KEY, PARQUET)


async def read(store: FileStore, start: int = 0) -> list[dict[str, Any]]:
    every = [row async for chunk in datasets.rows(store, KEY, PARQUET, start=start) for row in chunk]
    assert [row.index for row in every] == list(range(start, start + len(every)))
    return [dict(row.values) for row in every]


async def test_values_become_json(store: FileStore) -> None:
    content = as_parquet(
        {
            "id": ["007", None],
            "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None],
            "day": [date(2026, 1, 2), None],
            "hour": [time(3, 4), None],
            "took": [timedelta(minutes=1), None],
            "price": [1.5, float("nan")],
            "exact": [Decimal("1.10"), None],
            "yes": [True, None],
            "tags": [["a"], []],
            "place": [{"city": "Bern"}, {"city": None}],
            "kind": polars.Series(["x", None], dtype=polars.Categorical),
        }
    )
    shape = await shape_of(store, content)
    assert (shape.rows, shape.columns[:2], len(shape.columns)) == (2, ("id", "at"), 11)
    first, second = await read(store)
    assert first == {
        "id": "007",
        "at": "2026-01-02T03:04:05+00:00",
        "day": "2026-01-02",
        "hour": "03:04:00",
        "took": 60.0,
        "price": 1.5,
        "exact": "1.10",
        "yes": True,
        "tags": ["a"],
        "place": {"city": "Bern"},
        "kind": "x",
    }
    assert second == dict.fromkeys(first) | {"tags": [], "place": {"city": None}}


async def test_large_whole_numbers_stay_exact(store: FileStore) -> None:
    await shape_of(store, as_parquet({"n": [2**63 - 1, -(2**63)]}))
    assert await read(store) == [{"n": 2**63 - 1}, {"n": -(2**63)}]


@pytest.mark.parametrize("start", [0, 1, 4_999, 5_000, 11_999, 12_000])
async def test_reading_may_begin_in_the_middle(store: FileStore, start: int) -> None:
    shape = await shape_of(store, as_parquet({"n": range(12_000)}, row_group_size=7_000))
    assert shape.rows == 12_000
    assert await read(store, start) == [{"n": n} for n in range(start, 12_000)]


async def test_columns_without_rows_are_lawful(store: FileStore) -> None:
    shape = await shape_of(store, as_parquet({"a": polars.Series([], dtype=polars.Int64)}))
    assert (shape.columns, shape.rows) == (("a",), 0)
    assert await read(store) == []


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + b"\0" * 50 + b"PAR1", b"a,b\n1,2\n"])
async def test_a_parquet_that_is_none_is_refused(store: FileStore, content: bytes) -> None:
    with pytest.raises(InvalidDataset, match="can't be read as Parquet"):
        await shape_of(store, content)


async def test_a_truncated_file_is_refused(store: FileStore) -> None:
    content = as_parquet({"n": range(10_000)})
    with pytest.raises(InvalidDataset, match="can't be read as Parquet"):
        await shape_of(store, content[: len(content) // 2])


async def test_damage_in_the_middle_is_found_on_arrival(store: FileStore) -> None:
    content = bytearray(as_parquet({"n": range(50_000)}, compression="zstd"))
    content[100:4_000] = b"\xff" * 3_900
    with pytest.raises(InvalidDataset, match="can't be read as Parquet"):
        await shape_of(store, bytes(content))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"raw": [b"\x00"]}, "The column 'raw' holds values of type bytes, which JSON lacks"),
        ({"raw": [[b"\x00"]]}, "The column 'raw' holds values of type bytes"),
        ({"t": ["x", "x" * (MAX_FIELD + 1)]}, "Row 1: the column 't' has more than 1,048,576 characters"),
        ({"l": [[0] * 600_000]}, "Row 0: the column 'l' has more than 1,048,576 characters"),
        ({f"c{n}": [1] for n in range(4097)}, "4,097 columns; the limit is 4,096"),
        ({}, "The file has no columns"),
    ],
)
async def test_what_no_row_can_hold_is_refused(store: FileStore, columns: Any, sentence: str) -> None:
    with pytest.raises(InvalidDataset, match=sentence):
        await shape_of(store, as_parquet(columns))


@pytest.mark.parametrize(
    "dates",
    [
        polars.Series([10**8], dtype=polars.Int32).cast(polars.Date),
        polars.Series([10**15], dtype=polars.Datetime("ms")),
    ],
)
async def test_dates_beyond_the_year_9999_are_refused(store: FileStore, dates: polars.Series) -> None:
    with pytest.raises(InvalidDataset, match="The rows from 0 on can't be read"):
        await shape_of(store, as_parquet({"d": dates}))


async def test_a_small_file_that_says_gigabytes_breaks_only_the_child(store: FileStore) -> None:
    content = as_parquet({"l": polars.Series([[0] * 1000], dtype=polars.List(polars.Int8))})
    assert (await shape_of(store, content)).rows == 1
    bomb = polars.select(l=polars.zeros(2**27, dtype=polars.Int8).implode())
    buffer = io.BytesIO()
    bomb.write_parquet(buffer)
    assert len(buffer.getvalue()) < 100_000
    with pytest.raises(InvalidDataset, match="it breaks the reader, or its rows need more than"):
        await shape_of(store, buffer.getvalue())


async def test_wide_slices_become_python_values_row_by_row(store: FileStore) -> None:
    content = as_parquet({"t": ["x" * 100_000] * 1_000})
    assert len(content) < 10_000
    await shape_of(store, content)
    found = datasets.rows(store, KEY, PARQUET)
    first = await anext(found)
    assert len(first) == 11
    await found.aclose()


def test_a_slice_that_is_wide_is_not_buffered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers: list[int] = []
    iter_rows = polars.DataFrame.iter_rows
    monkeypatch.setattr(
        polars.DataFrame,
        "iter_rows",
        lambda frame, *, buffer_size: (
            buffers.append(buffer_size),
            iter_rows(frame, buffer_size=buffer_size),
        )[1],
    )
    for text in ("x", "x" * 4_000):
        (tmp_path / "d.parquet").write_bytes(as_parquet({"t": [text] * parquet_rows.SLICE}))
        next(parquet_rows.rows(tmp_path / "d.parquet", 0))
    assert buffers == [parquet_rows.BUFFER, 1]


async def test_brackets_in_the_data_directory_are_just_brackets(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path / "data [1] *"))
    assert (await shape_of(store, as_parquet({"a": [1]}))).rows == 1
    assert await read(store) == [{"a": 1}]


async def test_the_number_of_rows_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "MAX_ROWS", 2)
    (tmp_path / "d.parquet").write_bytes(as_parquet({"a": [1, 2, 3]}))
    with pytest.raises(InvalidDataset, match="3 rows; the limit is 2"):
        parquet_rows.shape(tmp_path / "d.parquet")


async def test_the_child_gets_none_of_the_servers_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in parquet_check._environment().values()
