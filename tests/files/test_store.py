from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rowel.core.errors import NotFound, TooLarge, Unavailable
from rowel.files.disk import NewFile
from rowel.files.store import PART, FileStore
from tests.support.streams import breaking, gathered, stream


def files_below(root: Path) -> list[str]:
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


async def test_a_file_past_the_limit_is_refused_and_leaves_nothing(directory: FileStore, root: Path) -> None:
    with pytest.raises(TooLarge, match="larger than 9 bytes, which is the limit"):
        await directory.write("datasets/a.csv", stream(b"12345", b"67890"), limit=9)
    assert files_below(root) == []


async def test_a_file_of_exactly_the_limit_is_kept(store: FileStore) -> None:
    assert await store.write("datasets/a.csv", stream(b"12345", b"67890"), limit=10) == 10


async def test_a_client_that_goes_away_leaves_nothing(directory: FileStore, root: Path) -> None:
    with pytest.raises(ConnectionError):
        await directory.write("datasets/a.csv", breaking(b"x" * 6_000_000, b"y" * 6_000_000))
    assert files_below(root) == []


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
        "uploads/" + "a" * 256,
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


async def test_a_canceled_write_leaves_nothing(directory: FileStore, root: Path) -> None:
    arrived = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 3_000_000
        arrived.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(directory.write("datasets/a.csv", slow()))
    await arrived.wait()
    assert files_below(root) == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_below(root) == []


async def test_small_parts_are_gathered_before_they_are_written(
    directory: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write = NewFile.write
    monkeypatch.setattr(NewFile, "write", lambda file, data: (sizes.append(len(data)), write(file, data))[1])
    await directory.write("datasets/a.csv", stream(*[b"x" * 1000] * 3000))
    assert sizes == [1_049_000, 1_049_000, 902_000]
    assert max(sizes) < PART + 1000
    assert await directory.size("datasets/a.csv") == 3_000_000


@pytest.mark.parametrize("method", ["open", "write", "publish"])
async def test_a_full_disk_is_said_to_be_the_servers_trouble(
    directory: FileStore, root: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(NewFile, method, full)
    with pytest.raises(Unavailable, match="No space left on device"):
        await directory.write("datasets/a.csv", stream(b"x"))
    assert files_below(root) == []


async def test_the_message_about_a_full_disk_names_no_path(
    directory: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/srv/secret/place")

    monkeypatch.setattr(NewFile, "open", full)
    with pytest.raises(Unavailable) as told:
        await directory.write("datasets/a.csv", stream(b"x"))
    assert "secret" not in told.value.message


async def test_links_that_lead_out_of_the_root_are_not_followed(directory: FileStore, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_bytes(b"secret")
    await directory.write("datasets/a.csv", stream(b"x"))
    (root / "datasets" / "link.csv").symlink_to(outside / "secret.csv")
    (root / "elsewhere").symlink_to(outside)
    for key in ("datasets/link.csv", "elsewhere/secret.csv"):
        with pytest.raises(NotFound):
            await directory.read(key)
        with pytest.raises(NotFound):
            list(directory.blocks(key))
        with pytest.raises(NotFound):
            await directory.write(key, stream(b"y"))
        with pytest.raises(NotFound):
            await directory.delete(key)
    assert (outside / "secret.csv").read_bytes() == b"secret"


async def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "files").symlink_to(tmp_path / "disk")
    store = FileStore(str(tmp_path / "files"))
    await store.write("datasets/a.csv", stream(b"x"))
    assert await store.read("datasets/a.csv") == b"x"


@pytest.mark.parametrize("key", ["uploads/1", "uploads/1/a.txt/x"])
async def test_directories_and_places_that_cannot_be_hold_no_file(store: FileStore, key: str) -> None:
    await store.write("uploads/1/a.txt", stream(b"x"))
    with pytest.raises(NotFound):
        await store.read(key)
    with pytest.raises(NotFound):
        await store.size(key)
    await store.delete(key)
    assert await store.read("uploads/1/a.txt") == b"x"


async def test_a_file_url_is_a_directory(tmp_path: Path) -> None:
    store = FileStore((tmp_path / "my files").as_uri())
    await store.write("datasets/a.csv", stream(b"x"))
    assert store.local_path("datasets/a.csv") == tmp_path / "my files" / "datasets" / "a.csv"
    assert (tmp_path / "my files" / "datasets" / "a.csv").read_bytes() == b"x"


async def test_an_opened_file_has_its_first_part_read(store: FileStore) -> None:
    await store.write("outputs/a.jsonl", stream(b"x" * 9_000_000))
    assert len(await gathered(await store.open("outputs/a.jsonl"))) == 9_000_000
    await store.write("outputs/empty.jsonl", stream())
    assert await gathered(await store.open("outputs/empty.jsonl")) == b""
    with pytest.raises(NotFound):
        await store.open("outputs/none.jsonl")


async def test_files_are_listed_by_folder_with_size_and_time(store: FileStore) -> None:
    begun = int(time.time())
    assert list(store.list("uploads")) == []
    for key in ("uploads/1/a.txt", "uploads/2/b.txt", "datasets/c.csv"):
        await store.write(key, stream(b"xyz"))
    found = {stored.key: stored for stored in store.list("uploads")}
    assert sorted(found) == ["uploads/1/a.txt", "uploads/2/b.txt"]
    assert {stored.size for stored in found.values()} == {3}
    assert all(begun <= stored.written_at.timestamp() <= time.time() for stored in found.values())


async def test_what_is_no_file_of_ours_is_not_listed(directory: FileStore, root: Path) -> None:
    await directory.write("outputs/a.jsonl", stream(b"x"))
    (root / "outputs" / ".half.part").touch()
    (root / "outputs" / "my notes.txt").touch()
    (root / "outputs" / "link.jsonl").symlink_to(root / "outputs" / "a.jsonl")
    assert [stored.key for stored in directory.list("outputs")] == ["outputs/a.jsonl"]
