"""Backups are taken beside an engine at work, and hold what it had acknowledged."""

import json
import sqlite3
import subprocess
import tarfile

import pytest

from rowel.core.errors import Conflict, Invalid, NotFound, Unavailable
from rowel.core.status import RunStatus
from rowel.engine.backup import take
from rowel.engine.backup.put_back import put_back
from rowel.engine.backup.take import take_backup
from rowel.files.store import FileStore
from tests.support.flows import flow, given, human, output
from tests.support.house import House, rested, save, text_of, upload
from tests.support.streams import stream

ECHO = flow("start>end", start=given(n="int"), end=output(n="start.n"))


@pytest.fixture
def target(tmp_path):
    return tmp_path / "backup.tar"


def back_up(house, target):
    """Take a backup with the files where the house has them."""
    return take_backup(house.data, target, store_of(house), house.clock.now())


def store_of(house):
    return FileStore(house.files_url or str(house.data / "files"))


def names_in(target):
    with tarfile.open(target) as tar:
        return tar.getnames()


def by_hand(place, *words):
    return subprocess.run(words, cwd=place, check=True, capture_output=True, text=True).stdout


async def ran_batch(engine, count=3):
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(count)))
    batch = await engine.start_batch(await save(engine, ECHO), dataset.id, 10)
    return await rested(engine, batch.run.id)


async def reopened(house, target, tmp_path):
    """An engine on what the backup brings back."""
    await put_back(target, tmp_path / "again")
    other = House(tmp_path / "again", house.stage, house.clock)
    return other, await other.open()


async def test_a_backup_holds_what_is_there(engine, house, target, tmp_path):
    batch = await ran_batch(engine)
    kept = await engine.add_file("a.txt", None, stream(b"hello"))
    waiting = await engine.run(await save(engine, flow("start>ask", ask=human(message="?"))), {})
    taken = back_up(house, target)

    assert (taken.files, taken.contents.runs, taken.contents.open_runs) == (3, 5, 1)
    assert taken.contents.workflows == 2
    other, again = await reopened(house, target, tmp_path)
    assert (await again.get_run(batch.run.id)).run.status is RunStatus.COMPLETED
    assert await text_of(again, batch.run.output_file_id) == await text_of(engine, batch.run.output_file_id)
    assert (await again.get_run(waiting.run.id)).run.status is RunStatus.PAUSED
    assert (await again.open_file(kept.path))[0].size == 5
    await other.close()


async def test_a_run_that_was_moving_goes_on_in_the_copy(engine, house, stage, target, tmp_path):
    stage.hold("a")
    run = await engine.start(await save(engine, flow("start>a")), {})
    await stage.begun("a")
    back_up(house, target)
    await house.crash(engine)

    other, again = await reopened(house, target, tmp_path)
    stage.let_go("a")
    assert (await rested(again, run.run.id)).run.status is RunStatus.COMPLETED
    await other.close()


async def test_a_backup_can_be_looked_into_without_rowel(engine, house, target, tmp_path):
    await ran_batch(engine)
    back_up(house, target)
    place = tmp_path / "by-hand"
    place.mkdir()
    assert by_hand(place, "tar", "xf", target) == ""
    assert by_hand(place, "sha256sum", "-c", "SHA256SUMS").count(": OK\n") == 4
    assert json.loads((place / "backup.json").read_text())["runs"] == 4
    database = sqlite3.connect(place / "rowel.db")
    assert database.execute("SELECT count(*) FROM runs").fetchone() == (4,)
    database.close()


async def test_files_in_a_bucket_are_in_the_backup(house, bucket, target, tmp_path):
    house.files_url = bucket.url
    engine = await house.open()
    batch = await ran_batch(engine)
    back_up(house, target)

    other, again = await reopened(house, target, tmp_path)
    assert len((await text_of(again, batch.run.output_file_id)).splitlines()) == 3
    await other.close()


async def test_what_is_deleted_meanwhile_is_not_in_the_backup(engine, house, target, tmp_path, monkeypatch):
    gone, stays = [await upload(engine, "n\n1\n") for _ in range(2)]
    batch = await ran_batch(engine)
    add_files = take._add_files

    def delete_then_add(archive, files, named):
        # As another process does it: the record goes before the bytes.
        connection = sqlite3.connect(house.data / "rowel.db")
        connection.execute("DELETE FROM datasets WHERE id = ?", (gone.id,))
        connection.execute("DELETE FROM output_files")
        connection.commit()
        connection.close()
        for key in (gone.key, f"outputs/{batch.run.output_file_id}.jsonl"):
            (house.data / "files" / key).unlink()
        return add_files(archive, files, named)

    monkeypatch.setattr(take, "_add_files", delete_then_add)
    assert back_up(house, target).files == 2
    assert [name for name in names_in(target) if gone.id in name or "outputs" in name] == []

    other, again = await reopened(house, target, tmp_path)
    assert gone.id not in [dataset.id for dataset in await again.list_datasets()]
    assert await again.list_output_files() == []
    assert (await again.get_dataset(stays.id)).rows == 1
    await other.close()


async def test_a_file_that_vanishes_after_it_was_listed_is_no_trouble(engine, house, target, monkeypatch):
    kept = await engine.add_file("a.txt", None, stream(b"x"))
    blocks = FileStore.blocks

    def vanished(store, key, offset=0):
        (house.data / "files" / kept.path).unlink(missing_ok=True)
        return blocks(store, key, offset)

    monkeypatch.setattr(FileStore, "blocks", vanished)
    assert back_up(house, target).files == 0


async def test_files_that_are_looked_for_in_the_wrong_place_are_not_forgotten(
    engine, house, target, tmp_path
):
    dataset = await upload(engine, "n\n1\n")
    with pytest.raises(Unavailable, match=f"1 files .*{dataset.key}.* Is ROWEL_FILES_URL set"):
        take_backup(house.data, target, FileStore(str(tmp_path / "elsewhere")), house.clock.now())

    assert not target.exists()


async def test_a_backup_replaces_nothing(engine, house, target):
    target.write_bytes(b"an older one")
    with pytest.raises(Conflict, match="is there already"):
        back_up(house, target)

    assert target.read_bytes() == b"an older one"


async def test_a_backup_that_fails_leaves_nothing(engine, house, target, tmp_path, monkeypatch):
    await upload(engine, "n\n1\n")

    def longer(store, key, offset=0):
        yield b"much more than was said"

    monkeypatch.setattr(FileStore, "blocks", longer)
    with pytest.raises(Unavailable, match="changed while it was copied"):
        back_up(house, target)

    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == []


async def test_a_damaged_database_is_no_backup(engine, house, target):
    await ran_batch(engine, 500)
    await house.shut(engine)
    database = house.data / "rowel.db"
    content = bytearray(database.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = b"\0" * 8192
    database.write_bytes(content)
    with pytest.raises((Invalid, Unavailable), match=r"damaged|malformed"):
        back_up(house, target)

    assert not target.exists()


@pytest.mark.parametrize(
    ("data", "target", "sentence"),
    [("none", "b.tar", "There is no database in"), ("data", "none/b.tar", "There is no directory")],
)
async def test_what_is_not_there_is_said(engine, house, tmp_path, data, target, sentence):
    with pytest.raises(NotFound, match=sentence):
        take_backup(tmp_path / data, tmp_path / target, store_of(house), house.clock.now())
