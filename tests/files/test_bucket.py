"""What is special about files in a bucket: parts, and trouble far away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from rowel.core.errors import Invalid, NodeFailed, NotFound, TooLarge, Unavailable
from rowel.files import bucket as buckets
from rowel.files import datasets
from rowel.files.datasets import DatasetFormat
from rowel.files.store import FileStore
from rowel.files.uploads import StoredBlobs
from tests.support.buckets import S3, Bucket
from tests.support.streams import breaking, gathered, stream

MIB = 1024 * 1024


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is made once."""
    monkeypatch.setattr(buckets, "PATIENCE", {"max_retries": 0})


@pytest.fixture
def store(impatient: None, in_bucket: FileStore) -> FileStore:
    return in_bucket


def refuse(s3: S3, status: int, *methods: str) -> None:
    """Let the server refuse these methods (none named: all) from now on."""
    s3.trouble = lambda method, _: status if not methods or method in methods else None


async def test_a_small_file_travels_in_one_request(in_bucket: FileStore, bucket: Bucket, s3: S3) -> None:
    s3.asked.clear()
    await in_bucket.write("uploads/1/a.txt", stream(b"x" * MIB))
    assert [method for method, _ in s3.asked] == ["PUT"]
    assert bucket.files() == ["uploads/1/a.txt"]


async def test_a_large_file_travels_in_parts(in_bucket: FileStore, bucket: Bucket, s3: S3) -> None:
    content = bytes(range(256)) * (20 * MIB // 256)
    assert await in_bucket.write("outputs/a.jsonl", stream(content[:MIB], content[MIB:])) == 20 * MIB
    assert await in_bucket.read("outputs/a.jsonl") == content
    assert b"".join(in_bucket.blocks("outputs/a.jsonl", 7 * MIB + 1)) == content[7 * MIB + 1 :]
    assert len([path for method, path in s3.asked if method == "PUT" and "partNumber" in path]) == 3
    assert bucket.unfinished() == []


async def test_a_file_is_read_by_requests_that_end(in_bucket: FileStore, s3: S3) -> None:
    await in_bucket.write("datasets/a.csv", stream(b"x" * (9 * MIB)))
    s3.asked.clear()
    parts = in_bucket.stream("datasets/a.csv")
    assert len(await anext(parts)) == buckets.READ
    assert [method for method, _ in s3.asked] == ["HEAD", "GET"]
    assert [len(part) async for part in parts] == [buckets.READ, MIB]


@pytest.mark.parametrize("size", [MIB, 20 * MIB])
async def test_what_was_not_kept_leaves_nothing(in_bucket: FileStore, bucket: Bucket, size: int) -> None:
    with pytest.raises(TooLarge):
        await in_bucket.write("datasets/a.csv", stream(b"x" * size, b"y" * size), limit=2 * size - 1)
    with pytest.raises(ConnectionError):
        await in_bucket.write("datasets/a.csv", breaking(b"x" * size))
    assert (bucket.files(), bucket.unfinished()) == ([], [])


@pytest.mark.parametrize("size", [MIB, 20 * MIB])
async def test_a_canceled_write_is_aborted(in_bucket: FileStore, bucket: Bucket, size: int) -> None:
    arrived = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * size
        arrived.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(in_bucket.write("datasets/a.csv", slow()))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (bucket.files(), bucket.unfinished()) == ([], [])


@pytest.mark.parametrize(
    ("refused", "part"), [("PUT", "partNumber=3"), ("POST", "uploadId"), ("POST", "uploads")]
)
async def test_a_bucket_that_refuses_one_request_of_many_shows_nothing_and_keeps_no_parts(
    store: FileStore, bucket: Bucket, s3: S3, refused: str, part: str
) -> None:
    s3.trouble = lambda method, _: 500 if method == refused and part in s3.asked[-1][1] else None
    with pytest.raises(Unavailable, match=r"can't be kept .*the bucket does not answer as it should"):
        await store.write("datasets/a.csv", stream(*[b"x" * MIB] * 30))
    s3.trouble = None
    assert (bucket.files(), bucket.unfinished()) == ([], [])


async def test_a_broken_rewrite_leaves_the_file_as_it_was(store: FileStore, s3: S3) -> None:
    await store.write("outputs/a.jsonl", stream(b"whole"))
    refuse(s3, 500, "PUT")
    with pytest.raises(Unavailable):
        await store.write("outputs/a.jsonl", stream(b"half"))
    s3.trouble = None
    assert await store.read("outputs/a.jsonl") == b"whole"


async def test_trouble_is_said_once_and_passes_by_itself(
    store: FileStore, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    await store.write("datasets/a.csv", stream(b"a\n1\n"))
    refuse(s3, 503)
    with caplog.at_level(logging.WARNING, "rowel"):
        for _ in range(3):
            with pytest.raises(Unavailable, match="can't be read"):
                await store.read("datasets/a.csv")
            with pytest.raises(Unavailable, match="can't be read"):
                list(store.blocks("datasets/a.csv"))
            with pytest.raises(Unavailable, match="can't be read"):
                await store.open("datasets/a.csv")
            with pytest.raises(Unavailable, match="can't be kept"):
                await store.write("datasets/b.csv", stream(b"b"))
            with pytest.raises(Unavailable, match="can't be read"):
                list(store.list("datasets"))
            with pytest.raises(Unavailable, match="can't be deleted"):
                await store.delete("datasets/a.csv")
        s3.trouble = None
        assert await store.read("datasets/a.csv") == b"a\n1\n"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "503" in caplog.messages[0]
    assert "answers again" in caplog.messages[1]


async def test_a_request_that_fails_once_is_made_again(in_bucket: FileStore, s3: S3) -> None:
    failures = iter([503, 500])
    s3.trouble = lambda *_: next(failures, None)
    await in_bucket.write("datasets/a.csv", stream(b"x"))
    assert await in_bucket.read("datasets/a.csv") == b"x"


async def test_trouble_in_the_midst_of_a_file_ends_the_stream(store: FileStore, s3: S3) -> None:
    await store.write("datasets/a.csv", stream(b"x" * (9 * MIB)))
    parts = await store.open("datasets/a.csv")
    refuse(s3, 503)
    with pytest.raises(Unavailable):
        await gathered(parts)


async def test_wrong_credentials_are_told_without_showing_them(store: FileStore, s3: S3) -> None:
    refuse(s3, 403)
    with pytest.raises(Unavailable, match="the bucket does not let Rowel in") as told:
        await store.write("datasets/a.csv", stream(b"x"))
    assert "secret" not in told.value.message
    with pytest.raises(Unavailable, match="the bucket does not let Rowel in"):
        await store.read("datasets/a.csv")


async def test_a_bucket_that_is_not_there_is_said_to_be_missing(s3: S3) -> None:
    store = FileStore("s3://no-such-bucket/prefix")
    for size in (1, 10 * MIB):
        with pytest.raises(Unavailable, match="the bucket is not there"):
            await store.write("datasets/a.csv", stream(b"x" * size))


@pytest.mark.parametrize("url", ["s3://", "ftp://bucket/x", "s3://bu cket/x", "nonsense://bucket"])
def test_an_url_that_names_no_bucket_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(Invalid, match="The files can't lie at"):
        FileStore(url)


async def test_several_stores_share_a_bucket(in_bucket: FileStore, bucket: Bucket) -> None:
    other = FileStore(bucket.url)
    await in_bucket.write("datasets/a.csv", stream(b"x"))
    assert await other.read("datasets/a.csv") == b"x"
    await other.delete("datasets/a.csv")
    with pytest.raises(NotFound):
        await in_bucket.read("datasets/a.csv")


async def test_rows_in_the_middle_are_read_from_near_there(in_bucket: FileStore, s3: S3) -> None:
    lines = [b"n,text", *(b"%d,%s" % (n, b"x" * 200) for n in range(30_000))]
    await in_bucket.write("datasets/a.csv", stream(b"\n".join(lines)))
    shape = await datasets.inspect(in_bucket, "datasets/a.csv", DatasetFormat.CSV)
    s3.asked.clear()
    reading = datasets.rows(
        in_bucket,
        "datasets/a.csv",
        DatasetFormat.CSV,
        start=25_000,
        offsets=shape.offsets,
        columns=shape.columns,
    )
    found = [row.values["n"] async for chunk in reading for row in chunk]
    assert found == [str(n) for n in range(25_000, 30_000)]
    assert len([path for method, path in s3.asked if method == "GET"]) == 1


async def test_a_node_may_try_again_to_read_or_keep_a_file(store: FileStore, s3: S3) -> None:
    blobs = StoredBlobs(store)
    path = await blobs.write(b"x", suffix=".txt")
    refuse(s3, 503)
    for attempt in (blobs.read(path), blobs.write(b"y", suffix=".txt")):
        with pytest.raises(NodeFailed) as failed:
            await attempt
        assert failed.value.retryable


async def test_more_files_than_one_answer_names_are_all_listed(
    in_bucket: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "LISTED", 2)
    keys = [f"outputs/{n}.jsonl" for n in range(5)]
    for key in keys:
        await in_bucket.write(key, stream(b"x"))
    assert [stored.key for stored in in_bucket.list("outputs")] == keys
