from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from rowel.core.errors import InvalidDataset, NotFound
from rowel.files import datasets
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
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"a,b\n1,2\n1,2,3\n", "Line 3 has 3 cells, and the header has 2 columns"),
        (b"a,b\n1\n", "Line 2 has 1 cells"),
        (b"a,a\n1,2\n", "The column 'a' is there twice"),
        (b"a,\n1,2\n", "Column 2 has no name"),
        (b"a,b\n1,\xff\n", "Line 2 is not UTF-8"),
        (b'a,b\n"1"x,2\n', "Line 2 is not CSV"),
        (b'a,b\n"1,2\n', "is not CSV"),
        (b"a\n" + b"x" * (MAX_FIELD + 1) + b"\n", "Line 2 is not CSV: field larger than"),
        (",".join(f"c{n}" for n in range(4097)).encode() + b"\n", "4097 columns; the limit is 4096"),
        (b"PK\x03\x04\x14\x00\xff\xfe", "not UTF-8"),
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
        (b'{"a": 1}\n{"a": \n', "Line 2 is not JSON"),
        (b'{"a": NaN}\n', "Line 1 is not JSON"),
        (b"[1, 2]\n", "Line 1 must be a JSON object"),
        (b'{"a": 1}\n"x"\n', "Line 2 must be a JSON object"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "Line 1 is not JSON"),
        (b'{"a": "' + b"x" * (MAX_FIELD + 1) + b'"}\n', "Line 1: the field 'a' is larger than"),
    ],
)
async def test_a_jsonl_that_cannot_be_read_says_where_and_why(
    store: FileStore, content: bytes, sentence: str
) -> None:
    with pytest.raises(InvalidDataset, match=sentence):
        await shape_of(store, content, JSONL)


async def test_parquet_values_become_json(store: FileStore) -> None:
    import polars

    frame = polars.DataFrame(
        {
            "id": ["007", None],
            "at": [polars.Series(["2026-01-02T03:04:05"]).str.to_datetime()[0], None],
            "price": [1.5, float("nan")],
            "tags": [["a"], []],
            "place": [{"city": "Bern"}, {"city": None}],
        }
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    shape = await shape_of(store, buffer.getvalue(), DatasetFormat.PARQUET)
    assert (shape.columns, shape.rows) == (("id", "at", "price", "tags", "place"), 2)
    assert await read(store, shape, DatasetFormat.PARQUET) == [
        {"id": "007", "at": "2026-01-02T03:04:05", "price": 1.5, "tags": ["a"], "place": {"city": "Bern"}},
        {"id": None, "at": None, "price": None, "tags": [], "place": {"city": None}},
    ]
    assert await read(store, shape, DatasetFormat.PARQUET, start=1) == [
        {"id": None, "at": None, "price": None, "tags": [], "place": {"city": None}}
    ]


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + b"\0" * 50 + b"PAR1"])
async def test_a_parquet_that_is_none_is_refused(store: FileStore, content: bytes) -> None:
    with pytest.raises(InvalidDataset, match="can't be read as Parquet"):
        await shape_of(store, content, DatasetFormat.PARQUET)


async def test_parquet_bytes_are_refused_since_json_lacks_them(store: FileStore) -> None:
    import polars

    buffer = io.BytesIO()
    polars.DataFrame({"raw": [b"\x00"]}).write_parquet(buffer)
    with pytest.raises(InvalidDataset, match="column 'raw' holds values of type bytes"):
        await shape_of(store, buffer.getvalue(), DatasetFormat.PARQUET)


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


async def test_rows_come_in_chunks_as_they_are_asked_for(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = await shape_of(store, as_csv(["n"], *[[str(n) * 50] for n in range(60_000)]))
    given = 0
    blocks = store.blocks

    def counted(key: str, offset: int = 0) -> Any:
        nonlocal given
        for block in blocks(key, offset):
            given += 1
            yield block

    monkeypatch.setattr(store, "blocks", counted)
    found = datasets.rows(store, "datasets/d.csv", CSV, offsets=shape.offsets, columns=shape.columns)
    first = await anext(found)
    assert len(first) == datasets.CHUNK
    assert given == 1
    await found.aclose()


async def test_a_dataset_whose_file_is_gone_says_so(store: FileStore) -> None:
    with pytest.raises(NotFound):
        await inspect(store, "datasets/none.csv", CSV)


names = some.text(some.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name
)
cells = some.text(some.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


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
