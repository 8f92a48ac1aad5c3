from __future__ import annotations

from pathlib import Path

import pytest

from rowel.core.errors import NotFound, TooLarge
from rowel.files.store import FileStore
from tests.support.streams import breaking, gathered, stream


def files_below(store: FileStore) -> list[str]:
    root = store.local_path("datasets/x").parent.parent
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_what_was_written_is_read_back(store: FileStore) -> None:
    assert await store.write("datasets/a.csv", stream(b"one,", b"two")) == 7
    assert await store.read("datasets/a.csv") == b"one,two"
    assert await gathered(store.stream("datasets/a.csv")) == b"one,two"
    assert b"".join(store.blocks("datasets/a.csv", 4)) == b"two"
    assert await store.size("datasets/a.csv") == 7


async def test_an_empty_file_is_a_file(store: FileStore) -> None:
    assert await store.write("outputs/a.jsonl", stream()) == 0
    assert await store.size("outputs/a.jsonl") == 0


async def test_a_file_past_the_limit_is_refused_and_leaves_nothing(store: FileStore) -> None:
    with pytest.raises(TooLarge, match="larger than 9 bytes"):
        await store.write("datasets/a.csv", stream(b"12345", b"67890"), limit=9)
    assert files_below(store) == []


async def test_a_file_of_exactly_the_limit_is_kept(store: FileStore) -> None:
    assert await store.write("datasets/a.csv", stream(b"12345", b"67890"), limit=10) == 10


async def test_a_client_that_goes_away_leaves_nothing(store: FileStore) -> None:
    with pytest.raises(ConnectionError):
        await store.write("datasets/a.csv", breaking(b"x" * 6_000_000, b"y" * 6_000_000))
    assert files_below(store) == []


async def test_a_broken_rewrite_leaves_the_file_as_it_was(store: FileStore) -> None:
    await store.write("outputs/a.jsonl", stream(b"whole"))
    with pytest.raises(ConnectionError):
        await store.write("outputs/a.jsonl", breaking(b"half"))
    assert await store.read("outputs/a.jsonl") == b"whole"


async def test_a_deleted_file_is_gone_and_may_be_deleted_again(store: FileStore) -> None:
    await store.write("uploads/1/a.txt", stream(b"x"))
    await store.delete("uploads/1/a.txt")
    await store.delete("uploads/1/a.txt")
    with pytest.raises(NotFound):
        await store.read("uploads/1/a.txt")


@pytest.mark.parametrize(
    "key",
    [
        "../secret",
        "uploads/../../secret",
        "uploads/..",
        "/etc/passwd",
        "uploads//etc/passwd",
        "uploads/./a",
        "uploads/a\x00b",
        "uploads/.hidden",
        "uploads",
        "",
        "uploads/a b",
        "uploads/%2e%2e/x",
        "uploads\\..\\x",
        "u" * 2000 + "/a",
    ],
)
async def test_a_key_that_leads_elsewhere_names_nothing(store: FileStore, key: str) -> None:
    with pytest.raises(NotFound):
        await store.read(key)
    with pytest.raises(NotFound):
        await store.size(key)
    with pytest.raises(NotFound):
        await store.write(key, stream(b"x"))
    with pytest.raises(NotFound):
        list(store.blocks(key))
    with pytest.raises(NotFound):
        await store.delete(key)


async def test_what_is_missing_is_said_to_be_missing(store: FileStore) -> None:
    with pytest.raises(NotFound, match=r"no file 'datasets/none\.csv'"):
        await store.size("datasets/none.csv")
    with pytest.raises(NotFound):
        await gathered(store.stream("datasets/none.csv"))
    with pytest.raises(NotFound):
        list(store.blocks("datasets/none.csv"))


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    FileStore(str(tmp_path / "files"))
    assert not (tmp_path / "files").exists()
