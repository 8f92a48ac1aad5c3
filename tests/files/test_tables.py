"""Output files as tables."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import polars
import pytest

import rowel.files.tables
from rowel.core.errors import Invalid
from rowel.files.tables import OutputFormat, table

CSV, PARQUET = OutputFormat.CSV, OutputFormat.PARQUET


def opens(*records: Any) -> Any:
    async def lines() -> AsyncIterator[str]:
        for record in records:
            yield json.dumps(record)

    return lines


async def made(kind: OutputFormat, *records: Any) -> bytes:
    return b"".join([part async for part in await table(kind, opens(*records))])


async def as_csv(*records: Any) -> list[dict[str, str]]:
    text = (await made(CSV, *records)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def as_parquet(*records: Any) -> polars.DataFrame:
    return polars.read_parquet(io.BytesIO(await made(PARQUET, *records)))


FAILED = {"error": 'it said "no",\nand left', "row_index": 1, "run_id": "r"}


async def test_each_field_of_each_node_is_a_column_and_each_line_a_row() -> None:
    found = await as_csv({"start": {"n": 1}, "add": {"sum": 2}}, {"start": {"n": 2}, "late": {"x": "é"}})

    assert found[0] == {
        "row_index": "0",
        "error": "",
        "run_id": "",
        "start.n": "1",
        "add.sum": "2",
        "late.x": "",
    }
    assert (found[1]["start.n"], found[1]["add.sum"], found[1]["late.x"]) == ("2", "", "é")


async def test_a_row_that_failed_says_why() -> None:
    rows = await as_csv({"a": {"x": 1}}, FAILED)

    assert (rows[1]["error"], rows[1]["run_id"], rows[1]["a.x"]) == (FAILED["error"], "r", "")


async def test_a_node_may_be_called_error() -> None:
    assert (await as_csv({"error": {"error": "x"}}))[0]["error.error"] == "x"


async def test_objects_and_lists_are_json() -> None:
    (row,) = await as_csv({"a": {"list": [1, "x"], "object": {"k": None}, "flag": True, "gone": None}})

    assert (row["a.list"], row["a.object"], row["a.flag"], row["a.gone"]) == (
        '[1,"x"]',
        '{"k":null}',
        "true",
        "",
    )


async def test_columns_of_a_parquet_file_have_types() -> None:
    values = {"int": 2, "float": 1, "flag": True, "text": "", "mixed": 1, "big": 2**70, "gone": None}
    more = {"int": None, "float": 1.5, "flag": False, "text": "00123", "mixed": "x", "big": 1, "gone": None}

    frame = await as_parquet({"a": values}, {"a": more}, FAILED)

    names = [str(kind) for kind in frame.dtypes]
    assert names == ["Int64", "String", "String"] + ["Int64", "Float64", "Boolean"] + ["String"] * 4
    assert frame["a.int"].to_list() == [2, None, None]
    assert frame["a.text"].to_list() == ["", "00123", None]
    assert frame["a.mixed"].to_list() == ["1", "x", None]
    assert frame["a.big"].to_list() == [str(2**70), "1", None]
    assert frame["error"].to_list() == [None, None, FAILED["error"]]


async def test_what_is_no_unicode_is_replaced() -> None:
    assert (await as_csv({"a": {"x": "\ud800"}}))[0]["a.x"] == "?"


@pytest.mark.parametrize("kind", [CSV, PARQUET])
async def test_a_file_without_rows_is_a_table_without_rows(kind: OutputFormat) -> None:
    data = await made(kind)

    frame = polars.read_csv(data) if kind is CSV else polars.read_parquet(io.BytesIO(data))
    assert frame.columns == ["row_index", "error", "run_id"]
    assert frame.height == 0


async def test_rows_are_numbered_over_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowel.files.tables, "CHUNK", 3)
    monkeypatch.setattr(rowel.files.tables, "PORTION", 2)

    frame = await as_parquet(*[{"a": {"n": number}} for number in range(10)])

    assert frame["row_index"].to_list() == frame["a.n"].to_list() == list(range(10))


async def test_too_many_columns_are_refused_before_anything_is_sent() -> None:
    wide = {"a": {f"f{number}": 1 for number in range(5_000)}}

    with pytest.raises(Invalid, match="4,096 columns"):
        await table(CSV, opens(wide))


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_nothing_is_left_of_a_download_that_was_broken_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(rowel.files.tables, "PART", 10)
    parts = await table(PARQUET, opens({"a": {"x": 1}}))

    await anext(parts)
    assert left_in(tmp_path)
    await parts.aclose()  # type: ignore[attr-defined]  # a generator

    assert not left_in(tmp_path)
