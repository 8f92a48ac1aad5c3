from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from rowel.core.errors import InvalidDataset, NotFound
from rowel.files import datasets, lines
from rowel.files.bucket import READ
from rowel.files.datasets import DatasetFormat, DatasetShape, format_of, inspect
from rowel.files.rows import MAX_FIELD
from rowel.files.store import FileStore
from tests.support.streams import stream

CSV, JSONL = DatasetFormat.CSV, DatasetFormat.JSONL


async def shape_of(store: FileStore, content: bytes, kind: DatasetFormat = CSV) -> DatasetShape:
    await store.write(f"datasets/d.{kind}", stream(content))
    return await inspect(store, f"datasets/d.{kind}", kind)


async def rows_of(
    store: FileStore, content: bytes, kind: DatasetFormat = CSV, start: int = 0
) -> list[dict[str, Any]]:
    shape = await shape_of(store, content, kind)
    return await read(store, shape, kind, start)


async def read(
    store: FileStore, shape: DatasetShape, kind: DatasetFormat, start: int = 0
) -> list[dict[str, Any]]:
    found = datasets.rows(
        store, f"datasets/d.{kind}", kind, start=start, offsets=shape.offsets, columns=shape.columns
    )
    every = [row async for chunk in found for row in chunk]
    assert [row.index for row in every] == list(range(start, start + len(every)))
    assert all(row.size > 0 for row in every)
    return [dict(row.values) for row in every]


def as_csv(*table: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", CSV),
        ("A.CSV", CSV),
        ("a.jsonl", JSONL),
        ("a.ndjson", JSONL),
        ("x/a.parquet", DatasetFormat.PARQUET),
    ],
)
def test_the_format_follows_the_extension(name: str, kind: DatasetFormat) -> None:
    assert format_of(name) is kind


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.gz", ".csv", "a.pkl"])
def test_other_extensions_are_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(InvalidDataset, match=r"must end in one of \.csv, \.jsonl, \.ndjson, \.parquet"):
        format_of(name)


async def test_csv_cells_stay_the_text_they_are(store: FileStore) -> None:
    found = await rows_of(store, as_csv(["zip", "n"], ["00123", "1e5"], ["", " x "]))
    assert found == [{"zip": "00123", "n": "1e5"}, {"zip": "", "n": " x "}]


async def test_a_shape_tells_columns_and_rows(store: FileStore) -> None:
    shape = await shape_of(store, as_csv(["a", "b"], ["1", "2"], ["3", "4"]))
    assert (shape.columns, shape.rows) == (("a", "b"), 2)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa,b\r\n1,2\r\n",
        b"a,b\n1,2",
        b"a,b\n\n1,2\n\n\n",
        b'"a","b"\n"1","2"\n',
        b" a , b\n1,2\n",
        b"a,b\r1,2\r",
        b"a,b\r\n1,2",
        b"\n\na,b\n1,2\n",
    ],
)
async def test_everyday_spellings_of_one_table_read_alike(store: FileStore, content: bytes) -> None:
    assert await rows_of(store, content) == [{"a": "1", "b": "2"}]


async def test_a_quoted_newline_is_part_of_its_cell(store: FileStore) -> None:
    found = await rows_of(store, b'a,b\n"line 1\r\nline 2","say ""hi"""\nx,y\n')
    assert found == [{"a": "line 1\r\nline 2", "b": 'say "hi"'}, {"a": "x", "b": "y"}]


async def test_columns_without_rows_are_lawful(store: FileStore) -> None:
    shape = await shape_of(store, b"a,b\n")
    assert (shape.columns, shape.rows) == (("a", "b"), 0)
    assert await read(store, shape, CSV) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty: it has no header"),
        (b"\n\n", "The file is empty: it has no header"),
        (b"\xef\xbb\xbf", "The file is empty: it has no header"),
        (b"a,b\n1,2\n1,2,3\n", "Line 3 has 3 cells, and the header has 2 columns"),
        (b"a,b\n1\n", "Line 2 has 1 cell, and the header has 2 columns"),
        (b'a,b\n"1\n\n",2\n\n"3\n\n"\n', "Line 6 has 1 cell"),
        (b"a,a\n1,2\n", "The column 'a' is there twice"),
        (b" , \n1,2\n", "The first row names no column"),
        ("a,b\n1,2\n".encode("utf-16"), "Line 1 is not UTF-8 .* Save the file as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "The name of column 1 holds a NUL"),
        (b"a,b\n1,\xff\n", r"Line 2 is not UTF-8 \(byte 3 of the line\)"),
        (b'a,b\n"1"x,2\n', "Line 2 is not CSV: text follows a closing quote"),
        (b'a,b\n1,2\n"1,2\n3,4\n', "Line 3 opens a quote that is never closed"),
        (b"a\n" + b"x" * (MAX_FIELD + 1) + b"\n", "Line 2 has a cell of more than 1,048,576 characters"),
        (b'a,b\n"' + b"1,2\n" * 300_000, "Line 2 has a cell of more than .* Is a quote left open"),
        (",".join(f"c{n}" for n in range(4097)).encode() + b"\n", "4,097 columns; the limit is 4,096"),
        (b"PK\x03\x04\x14\x00\xff\xfe", "Line 1 is not UTF-8"),
    ],
)
async def test_a_csv_that_cannot_be_read_says_where_and_why(
    store: FileStore, content: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidDataset, match=sentence):
        await shape_of(store, content)


async def test_jsonl_values_come_back_exactly(store: FileStore) -> None:
    rows = [{"n": 10**30, "t": "\ud800\x00é", "l": [1, {"x": None}]}, {"other": True}]
    content = "\n".join(json.dumps(row) for row in rows).encode()
    shape = await shape_of(store, content, JSONL)
    assert (shape.columns, shape.rows) == (("n", "t", "l", "other"), 2)
    assert await read(store, shape, JSONL) == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b'{"a": 1}\n{"a": \n', "Line 2 is not JSON: Expecting value at column 7"),
        (b'{"a": NaN}\n', "Line 1 is not JSON: NaN is not a JSON value"),
        (b'{"a": 1e999}\n', "Line 1 is not JSON: the number 1e999 is too large"),
        (b'{"a": "\xff"}\n', "Line 1 is not UTF-8"),
        (b'{"a": 1} x\n', "Line 1 is not JSON: Extra data"),
        (json.dumps({f"c{n}": 1 for n in range(4097)}).encode(), "Line 1 has 4,097 fields"),
        (b"[1, 2]\n", "Line 1 must be a JSON object"),
        (b'{"a": 1}\n"x"\n', "Line 2 must be a JSON object"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "Line 1 is not JSON"),
        (b'{"a": "' + b"x" * (MAX_FIELD + 1) + b'"}\n', "Line 1: the field 'a' has more than"),
        (b'{"a": [' + b"1," * 600_000 + b"1]}\n", "Line 1: the field 'a' has more than"),
    ],
)
async def test_a_jsonl_that_cannot_be_read_says_where_and_why(
    store: FileStore, content: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidDataset, match=sentence):
        await shape_of(store, content, JSONL)


@pytest.mark.parametrize("kind", [CSV, JSONL])
@pytest.mark.parametrize("start", [0, 1, 9_999, 10_000, 10_001, 24_999, 25_000])
async def test_reading_may_begin_in_the_middle(
    store: FileStore, kind: DatasetFormat, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"n": str(n), "t": 'a\n"b"'} for n in range(25_000)]
    lines = [json.dumps(row) for row in rows]
    content = (
        "\n".join(lines).encode()
        if kind is JSONL
        else as_csv(["n", "t"], *[list(row.values()) for row in rows])
    )
    shape = await shape_of(store, content, kind)
    assert len(shape.offsets) == 3
    asked: list[int] = []
    blocks = store.blocks
    monkeypatch.setattr(store, "blocks", lambda key, offset=0: (asked.append(offset), blocks(key, offset))[1])
    assert await read(store, shape, kind, start) == rows[start:]
    assert asked == [shape.offsets[min(start // 10_000, 2)] if start >= 10_000 else shape.offsets[0]]


def counted_blocks(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the blocks that are read from here on."""
    given: list[int] = []
    blocks = store.blocks

    def counted(key: str, offset: int = 0) -> Iterator[bytes]:
        for block in blocks(key, offset):
            given.append(len(block))
            yield block

    monkeypatch.setattr(store, "blocks", counted)
    return given


async def test_rows_come_in_chunks_as_they_are_asked_for(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = await shape_of(store, as_csv(["n"], *[[str(n) * 50] for n in range(60_000)]))
    given = counted_blocks(store, monkeypatch)
    found = datasets.rows(store, "datasets/d.csv", CSV, offsets=shape.offsets, columns=shape.columns)
    first = await anext(found)
    assert len(first) == datasets.CHUNK
    assert len(given) == 1
    await found.aclose()


@pytest.mark.parametrize("kind", [CSV, JSONL])
async def test_a_large_file_is_never_in_memory_at_once(
    store: FileStore, kind: DatasetFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = b'"some text, quoted",%d\n' if kind is CSV else b'{"t": "some text", "n": %d}\n'
    content = (b"t,n\n" if kind is CSV else b"") + b"".join(line % n for n in range(200_000))
    given = counted_blocks(store, monkeypatch)
    shape = await shape_of(store, content, kind)
    assert shape.rows == 200_000
    assert len(shape.offsets) == 21
    assert len(given) > 1
    assert max(given) <= READ
    given.clear()
    seen = ahead = 0
    async for chunk in datasets.rows(store, f"datasets/d.{kind}", kind):
        assert len(chunk) <= datasets.CHUNK
        seen += sum(row.size for row in chunk)
        ahead = max(ahead, sum(given) - seen)
    assert seen == pytest.approx(len(content), abs=4)
    assert ahead < 2 * READ


@pytest.mark.parametrize("kind", [CSV, JSONL])
async def test_large_rows_come_in_small_chunks(store: FileStore, kind: DatasetFormat) -> None:
    text = "x" * 400_000
    content = as_csv(["t"], *[[text]] * 20) if kind is CSV else (json.dumps({"t": text}) + "\n").encode() * 20
    shape = await shape_of(store, content, kind)
    found = datasets.rows(store, f"datasets/d.{kind}", kind, offsets=shape.offsets, columns=shape.columns)
    assert [len(chunk) async for chunk in found] == [3, 3, 3, 3, 3, 3, 2]


async def test_a_row_may_be_no_longer_than_its_limit(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_ROW", 1000)
    cell = '"' + "x\n" * 100 + '"'
    with pytest.raises(InvalidDataset, match="Line 3: the row is longer than 1,000 bytes"):
        await shape_of(store, f"a,b\n1,2\n{','.join([cell] * 6)}\n".encode())
    with pytest.raises(InvalidDataset, match="Line 2: the row is longer than 1,000 bytes"):
        await shape_of(store, b'{"a": 1}\n{"a": "' + b"x" * 1000 + b'"}', JSONL)
    shape = await shape_of(store, b'{"a": 1}\n' * 1000, JSONL)
    assert shape.rows == 1000


@pytest.mark.parametrize(("kind", "content"), [(CSV, b"a\n" + b"1\n" * 11), (JSONL, b'{"a": 1}\n' * 11)])
async def test_the_number_of_rows_has_a_limit(
    store: FileStore, kind: DatasetFormat, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "MAX_ROWS", 10)
    with pytest.raises(InvalidDataset, match="more than 10 rows"):
        await shape_of(store, content, kind)


async def test_the_columns_of_all_rows_together_have_a_limit(store: FileStore) -> None:
    content = "\n".join(json.dumps({f"c{n}": 1}) for n in range(4097)).encode()
    with pytest.raises(InvalidDataset, match="more than 4,096 columns"):
        await shape_of(store, content, JSONL)


async def test_rows_without_fields_are_rows(store: FileStore) -> None:
    shape = await shape_of(store, b"{}\n{}\n", JSONL)
    assert (shape.columns, shape.rows) == ((), 2)
    assert await read(store, shape, JSONL) == [{}, {}]


@pytest.mark.parametrize("rows", [2, 10_001])
async def test_a_column_without_a_name_is_left_out_of_the_rows(store: FileStore, rows: int) -> None:
    shape = await shape_of(store, as_csv(["", "a", ""], *[[str(n), "x", ""] for n in range(rows)]))
    assert shape.columns == ("", "a", "")
    assert await read(store, shape, CSV, start=rows - 1) == [{"a": "x"}]


async def test_one_empty_cell_is_a_row_and_a_blank_line_is_none(store: FileStore) -> None:
    assert await rows_of(store, b'a\n""\n\nx\n') == [{"a": ""}, {"a": "x"}]


async def test_a_file_changed_behind_our_back_says_where_from_it_was_read(store: FileStore) -> None:
    shape = await shape_of(store, as_csv(["a"], *[["1"]] * 10_001))
    await store.write("datasets/d.csv", stream(as_csv(["a"], *[["1"]] * 10_000, ["1", "2"])))
    with pytest.raises(InvalidDataset, match=r"Line 1 after byte 30,003 has 2 cells"):
        await read(store, shape, CSV, start=10_000)


async def test_a_reader_that_is_canceled_in_the_middle_ends_quietly(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = await shape_of(store, as_csv(["n"], ["1"], ["2"]))
    begun, may_go_on = threading.Event(), threading.Event()
    blocks = store.blocks

    def held(key: str, offset: int = 0) -> Iterator[bytes]:
        begun.set()
        may_go_on.wait(30)
        yield from blocks(key, offset)

    monkeypatch.setattr(store, "blocks", held)
    reading = asyncio.create_task(read(store, shape, CSV))
    await asyncio.to_thread(begun.wait, 30)
    reading.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_client_that_goes_away_ends_the_inspection(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write("datasets/d.csv", stream(as_csv(["n"], *[["x" * 1000]] * 20_000)))
    begun, may_go_on, given = threading.Event(), threading.Event(), 0
    blocks = store.blocks

    def counted(key: str, offset: int = 0) -> Iterator[bytes]:
        nonlocal given
        for block in blocks(key, offset):
            given += 1
            begun.set()
            may_go_on.wait(30)
            yield block

    monkeypatch.setattr(store, "blocks", counted)
    inspecting = asyncio.create_task(inspect(store, "datasets/d.csv", CSV))
    await asyncio.to_thread(begun.wait, 30)
    inspecting.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await inspecting
    assert given < 5


@pytest.mark.parametrize("kind", DatasetFormat)
async def test_a_dataset_whose_file_is_gone_says_so(store: FileStore, kind: DatasetFormat) -> None:
    with pytest.raises(NotFound):
        await inspect(store, f"datasets/none.{kind}", kind)
    with pytest.raises(NotFound):
        await read(store, DatasetShape(("a",), 1), kind)


names = some.text(some.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name
)
cells = some.text(some.characters(codec="utf-8", exclude_characters=""), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=some.data(), columns=some.lists(names, min_size=1, max_size=4, unique=True))
async def test_what_csv_writers_write_is_read_back_exactly(
    store: FileStore, data: some.DataObject, columns: list[str]
) -> None:
    row = some.lists(cells, min_size=len(columns), max_size=len(columns))
    table = data.draw(some.lists(row, max_size=5))
    kept = [cells for cells in table if len(columns) > 1 or cells != [""]]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([columns, *kept])
    content = text.getvalue().encode()
    assert await rows_of(store, content) == [dict(zip(columns, cells, strict=True)) for cells in kept]


json_values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=some.lists(
        some.dictionaries(some.text(), json_values, min_size=1, max_size=3), min_size=1, max_size=4
    )
)
async def test_any_json_object_survives_a_line(store: FileStore, rows: list[dict[str, Any]]) -> None:
    content = "\n".join(json.dumps(row) for row in rows).encode()
    assert await rows_of(store, content, JSONL) == rows
