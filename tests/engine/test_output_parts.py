"""A long output file is written in parts: whoever takes a batch over goes on with those that are there."""

from __future__ import annotations

import asyncio
import json

import pytest

from rowel.core.errors import Unavailable
from rowel.core.status import RunStatus
from rowel.engine import batch as batches
from rowel.engine import outputparts
from rowel.engine.upkeep import Upkeep
from tests.support.flows import flow, given, output
from tests.support.house import rested, save, text_of, upload
from tests.support.processes import eventually

ROWS = 9
ECHO = flow("start>end", start=given(n="int"), end=output(n="start.n"))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(outputparts, "ROWS", 2)
    monkeypatch.setattr(batches, "FILES_EACH_S", 0.01)


class Writing:
    """Counts the parts that are written, and stops at one where it is told to."""

    def __init__(self, monkeypatch, *, left=100):
        self.keys = []
        self.left = left
        self.is_stuck = asyncio.Event()
        self._write = outputparts.write_lines
        monkeypatch.setattr(outputparts, "write_lines", self)

    async def __call__(self, files, key, lines):
        if self.left == 0:
            self.is_stuck.set()
            await asyncio.Event().wait()
        self.left -= 1
        self.keys.append(key)
        return await self._write(files, key, lines)

    def go_on(self, left):
        self.left = left
        self.is_stuck.clear()


async def start(engine):
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(ROWS)))
    return await engine.start_batch(await save(engine, ECHO), dataset.id, 4)


def written(house):
    return sorted(path.name for path in (house.data / "files" / "outputs").iterdir())


async def check(house, engine, batch):
    end = await rested(engine, batch.run.id)
    assert (end.run.status, end.run.message) == (RunStatus.COMPLETED, f"{ROWS} of {ROWS} rows completed.")
    lines = (await text_of(engine, end.run.output_file_id)).splitlines()
    assert [json.loads(line)["end"]["n"] for line in lines] == list(range(ROWS))
    await eventually(lambda: written(house) == [f"{end.run.output_file_id}.jsonl"])


async def test_each_part_is_written_once_and_an_engine_that_wrote_one_did_not_try_in_vain(house, monkeypatch):
    engine = await house.open(Upkeep(recoveries=2))
    writing = Writing(monkeypatch, left=1)
    batch = await start(engine)
    for life in range(1, 5):
        await asyncio.wait_for(writing.is_stuck.wait(), 20)
        assert len(writing.keys) == life
        await house.crash(engine)
        writing.go_on(left=1)
        engine = await house.open()

    await check(house, engine, batch)
    assert len(writing.keys) == len(set(writing.keys)) == 5


async def test_a_place_of_files_that_refuses_in_the_middle_is_asked_again_for_the_rest(house, monkeypatch):
    engine = await house.open()
    writing = Writing(monkeypatch)
    write, refusals = engine._house.files.write, iter([False, False, True, True, False])

    async def refusing(key, content, **limits):
        if key.endswith((".1", ".2", ".3")) and next(refusals, False):
            raise Unavailable("The disk is full.")
        return await write(key, content, **limits)

    monkeypatch.setattr(engine._house.files, "write", refusing)

    await check(house, engine, await start(engine))
    assert [key.rpartition(".")[2] for key in writing.keys] == ["0", "1", "2", "3", "3", "3", "4"]


async def test_a_part_that_somebody_removed_is_written_again(house, monkeypatch):
    engine = await house.open()
    writing = Writing(monkeypatch)
    files, is_first = engine._house.files, iter([True])
    write = files.write

    async def removing(key, content, **limits):
        if key.endswith(".jsonl") and next(is_first, False):
            await files.delete(f"{key}.1")
        return await write(key, content, **limits)

    monkeypatch.setattr(files, "write", removing)

    await check(house, engine, await start(engine))
    assert [key.rpartition(".")[2] for key in writing.keys] == ["0", "1", "2", "3", "4", "1"]


async def test_a_file_of_few_rows_is_written_at_once(house, monkeypatch):
    monkeypatch.setattr(outputparts, "ROWS", ROWS)
    engine = await house.open()
    writing = Writing(monkeypatch)

    batch = await start(engine)

    await check(house, engine, batch)
    assert writing.keys == [f"outputs/{batch.run.output_file_id}.jsonl"]
