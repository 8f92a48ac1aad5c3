"""Datasets, outputs and uploads in a bucket, and what a batch does while that is away."""

import asyncio
import base64
import json

import pytest

import rowel.engine.batch
from rowel.core.errors import NotFound, Unavailable
from rowel.core.status import RunStatus
from rowel.files import bucket as buckets
from tests.support.flows import flow, given, output
from tests.support.house import rested, save, still, text_of, upload
from tests.support.streams import gathered, stream

NUMBERED = flow("start>a a>end start>end", start=given(n="int"), end=output(n="start.n", x="a.x"))


@pytest.fixture
def house(house, bucket, monkeypatch):
    """A data directory whose files lie in a bucket."""
    house.files_url = bucket.url
    monkeypatch.setattr(buckets, "PATIENCE", {"max_retries": 0})
    monkeypatch.setattr(rowel.engine.batch, "FILES_EACH_S", 0.05)
    return house


def numbers(count):
    return "n\n" + "".join(f"{n}\n" for n in range(count))


def double(inputs, context):
    return {"x": inputs["start"]["n"] * 2}


async def started(engine, content):
    dataset = await upload(engine, content)
    return await engine.start_batch(await save(engine, NUMBERED), dataset.id, 10)


async def asked(s3, method, part):
    """Wait until such a request has come."""
    async with asyncio.timeout(30):
        while not any(method == seen and part in path for seen, path in s3.asked):  # noqa: ASYNC110  # a client can only look
            await asyncio.sleep(0.01)


async def test_a_batch_reads_and_writes_a_bucket(engine, house, stage, bucket):
    stage.on("a", double)
    batch = await rested(engine, (await started(engine, numbers(30))).run.id)

    assert batch.run.status is RunStatus.COMPLETED
    lines = (await text_of(engine, batch.run.output_file_id)).splitlines()
    assert [json.loads(line)["end"] for line in lines] == [{"n": n, "x": 2 * n} for n in range(30)]
    assert sorted(key.split("/")[0] for key in bucket.files()) == ["datasets", "outputs"]
    assert not (house.data / "files").exists()


async def test_a_deleted_dataset_and_output_are_gone_from_the_bucket(engine, stage, bucket):
    batch = await rested(engine, (await started(engine, numbers(2))).run.id)
    await engine.delete_output_file(batch.run.output_file_id)
    await engine.delete_dataset(batch.run.input_dataset_id)

    assert bucket.files() == []


async def test_what_is_forgotten_while_the_bucket_is_away_is_forgotten(engine, bucket, s3):
    dataset = await upload(engine, numbers(2))
    s3.trouble = lambda *_: 503
    await engine.delete_dataset(dataset.id)

    with pytest.raises(NotFound):
        await engine.get_dataset(dataset.id)


async def test_an_upload_and_a_data_uri_are_files_in_the_bucket(engine, stage, bucket):
    kept = await engine.add_file("a.txt", None, stream(b"hello"))
    data = "data:text/plain;base64," + base64.b64encode(b"hi").decode()
    run = await engine.run(await save(engine, flow("start>a", start=given(t="str"))), {"start": {"t": data}})

    path = run.run.initial_inputs["start"]["t"]
    assert sorted(bucket.files()) == sorted([kept.path, path])
    for wanted, content in ((kept.path, b"hello"), (path, b"hi")):
        _, parts = await engine.open_file(wanted)
        assert await gathered(parts) == content


async def test_nothing_is_half_done_when_the_bucket_is_away(engine, bucket, s3):
    workflow_id = await save(engine, flow("start>a", start=given(t="str")))
    s3.trouble = lambda *_: 503
    for attempt in (
        upload(engine, numbers(2)),
        engine.add_file("a.txt", None, stream(b"x")),
        engine.start(workflow_id, {"start": {"t": "data:text/plain;base64,aGk="}}),
    ):
        with pytest.raises(Unavailable):
            await attempt
    s3.trouble = None

    assert await engine.list_datasets() == []
    assert bucket.files() == []
    assert (await upload(engine, numbers(2))).rows == 2


async def test_a_dataset_that_cannot_be_read_back_is_not_kept(engine, bucket, s3):
    s3.trouble = lambda method, _: 503 if method == "HEAD" else None
    with pytest.raises(Unavailable):
        await upload(engine, numbers(2))

    assert bucket.files() == []
    assert await engine.list_datasets() == []


async def test_a_batch_waits_for_its_dataset_while_the_bucket_is_away(engine, stage, s3):
    stage.on("a", double)
    dataset = await upload(engine, numbers(30))
    s3.asked.clear()
    s3.trouble = lambda *_: 503
    batch = await engine.start_batch(await save(engine, NUMBERED), dataset.id, 10)
    await asked(s3, "HEAD", "datasets")
    assert (await engine.get_run(batch.run.id)).run.status is RunStatus.RUNNING
    s3.trouble = None

    seen = await rested(engine, batch.run.id)
    assert seen.run.status is RunStatus.COMPLETED
    assert seen.run.message == "30 of 30 rows completed."


async def test_a_batch_waits_with_its_output_while_the_bucket_is_away(engine, stage, bucket, s3):
    stage.on("a", double)
    s3.trouble = lambda method, path: 503 if method == "PUT" and "outputs" in path else None
    batch = await started(engine, numbers(3))
    await asked(s3, "PUT", "outputs")
    assert (await engine.get_run(batch.run.id)).run.status is RunStatus.RUNNING
    s3.trouble = None

    assert (await rested(engine, batch.run.id)).run.status is RunStatus.COMPLETED
    assert len((await text_of(engine, batch.run.output_file_id)).splitlines()) == 3


async def test_a_batch_that_waits_for_the_bucket_can_be_canceled_and_drained(engine, house, stage, s3):
    dataset = await upload(engine, numbers(3))
    workflow_id = await save(engine, NUMBERED)
    s3.trouble = lambda *_: 503
    batches = [await engine.start_batch(workflow_id, dataset.id, 10) for _ in range(2)]
    await asked(s3, "HEAD", "datasets")
    assert (await engine.cancel(batches[0].run.id)).run.status is RunStatus.CANCELED
    await house.shut(engine)
    s3.trouble = None

    engine = await house.open()
    await still(engine)
    assert (await engine.get_run(batches[1].run.id)).run.status is RunStatus.COMPLETED


async def test_a_file_that_cannot_be_opened_now_is_said_so_before_anything_is_sent(engine, stage, s3):
    kept = await engine.add_file("a.txt", None, stream(b"hello"))
    batch = await rested(engine, (await started(engine, numbers(2))).run.id)
    s3.trouble = lambda method, _: 503 if method == "GET" else None
    with pytest.raises(Unavailable):
        await engine.open_file(kept.path)
    with pytest.raises(Unavailable):
        await engine.open_output(batch.run.output_file_id)
