"""Datasets, output files and uploads by their records."""

import pytest

from rowel.core.errors import InvalidDataset, NotFound, TooLarge
from tests.support.house import upload
from tests.support.streams import breaking, gathered, stream


def files_in(house):
    return [path for path in (house.data / "files").rglob("*") if path.is_file()]


async def test_a_dataset_knows_its_columns_and_rows(engine, clock):
    dataset = await engine.add_dataset(
        "tickets", "what came in", "dir/my rows.csv", stream(b"a,b\n1,2\n3,4\n")
    )

    assert (dataset.columns, dataset.rows) == (("a", "b"), 2)
    assert dataset.filename == "my rows.csv"
    assert (dataset.name, dataset.description) == ("tickets", "what came in")
    assert dataset.created_at == clock.now()
    assert await engine.get_dataset(dataset.id) == dataset


async def test_datasets_are_listed_newest_first_all_or_in_pages(engine, clock):
    kept = []
    for _ in range(3):
        kept.append((await upload(engine, "a\n1\n")).id)
        await clock.advance(1)

    assert [found.id for found in await engine.list_datasets()] == kept[::-1]
    assert [found.id for found in await engine.list_datasets(limit=1, offset=1)] == [kept[1]]


async def test_a_deleted_dataset_is_gone_with_its_file(engine, house):
    dataset = await upload(engine, "a\n1\n")

    await engine.delete_dataset(dataset.id)

    assert files_in(house) == []
    for ask in (engine.get_dataset(dataset.id), engine.delete_dataset(dataset.id)):
        with pytest.raises(NotFound):
            await ask


async def test_a_dataset_that_cannot_be_read_leaves_nothing_behind(engine, house):
    with pytest.raises(InvalidDataset, match="Line 2"):
        await upload(engine, '{"a": 1}\nnot json\n', "rows.jsonl")

    assert await engine.list_datasets() == []
    assert files_in(house) == []


async def test_an_upload_that_breaks_off_leaves_nothing_behind(engine, house):
    with pytest.raises(ConnectionError):
        await engine.add_dataset("rows", None, "rows.csv", breaking(b"a\n", b"1\n"))
    with pytest.raises(ConnectionError):
        await engine.add_file("notes.txt", "text/plain", breaking(b"half"))

    assert await engine.list_datasets() == []
    assert files_in(house) == []


async def test_uploads_past_the_limit_are_refused_and_not_kept(house):
    engine = await house.open(upload=10)

    with pytest.raises(TooLarge):
        await engine.add_dataset("rows", None, "rows.csv", stream(b"a\n", b"1\n" * 10))
    with pytest.raises(TooLarge):
        await engine.add_file("notes.txt", None, stream(b"x" * 11))

    assert files_in(house) == []


async def test_a_file_comes_back_as_it_was(engine):
    kept = await engine.add_file("notes.txt", "text/plain", stream(b"one ", b"two"))

    found, parts = await engine.open_file(kept.path)

    assert await gathered(parts) == b"one two"
    assert (kept.name, kept.size, kept.media_type) == ("notes.txt", 7, "text/plain")
    assert found.size == 7


async def test_a_deleted_file_is_gone(engine):
    kept = await engine.add_file("notes.txt", None, stream(b"x"))

    await engine.delete_file(kept.path)

    for ask in (engine.open_file(kept.path), engine.delete_file(kept.path)):
        with pytest.raises(NotFound):
            await ask


@pytest.mark.parametrize(
    "path", ["made-up", "uploads/none/x.txt", "../rowel.db", "datasets/x.csv", "uploads/../x"]
)
async def test_only_uploads_can_be_opened_as_files(engine, path):
    with pytest.raises(NotFound):
        await engine.open_file(path)


async def test_an_unknown_output_file_is_not_found(engine):
    for ask in (
        engine.get_output_file("made-up"),
        engine.open_output("made-up"),
        engine.delete_output_file("made-up"),
    ):
        with pytest.raises(NotFound):
            await ask
