"""Restores bring back all of a backup or nothing, and never over something else."""

import gzip
import io
import sqlite3
import tarfile

import pytest

from rowel.core.errors import Conflict, Invalid, NotFound, Unavailable
from rowel.engine.backup import put_back as restoring
from rowel.engine.backup.archive import ArchiveWriter, Contents
from rowel.engine.backup.put_back import put_back
from rowel.engine.backup.take import take_backup
from rowel.files.store import FileStore
from tests.support.house import House, upload
from tests.support.streams import stream

CONTENTS = Contents(made_at="2026-01-02T03:04:05+00:00", revision="0001", workflows=0, runs=0, open_runs=0)


@pytest.fixture
async def backup(house, tmp_path):
    """A backup of a dataset and an upload."""
    engine = await house.open()
    await upload(engine, "n\n1\n")
    await engine.add_file("a.txt", None, stream(b"x" * 3_000_000))
    target = tmp_path / "backup.tar"
    take_backup(house.data, target, FileStore(str(house.data / "files")), house.clock.now())
    await house.shut(engine)
    return target


@pytest.fixture
def again(tmp_path):
    return tmp_path / "again"


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


async def test_a_directory_is_whole_again(backup, again, house):
    found = await put_back(backup, again)

    assert (found.files, found.contents.workflows) == (2, 0)
    assert names_in(again) == ["files", "rowel.db", "rowel.lock"]
    files = sorted(path.name for path in (again / "files").rglob("*") if path.is_file())
    assert files == sorted(path.name for path in (house.data / "files").rglob("*") if path.is_file())


async def test_a_compressed_backup_is_read_as_well(backup, again, tmp_path):
    (tmp_path / "backup.tar.gz").write_bytes(gzip.compress(backup.read_bytes()))

    assert (await put_back(tmp_path / "backup.tar.gz", again)).files == 2


async def test_files_go_to_the_bucket_that_is_named(backup, again, bucket):
    await put_back(backup, again, FileStore(bucket.url))

    assert [key.split("/")[0] for key in sorted(bucket.files())] == ["datasets", "uploads"]
    assert names_in(again) == ["rowel.db", "rowel.lock"]


async def test_an_empty_directory_is_taken_and_one_with_something_in_it_is_not(backup, again):
    again.mkdir()
    await put_back(backup, again)
    before = (again / "rowel.db").read_bytes()
    with pytest.raises(Conflict, match="is not empty"):
        await put_back(backup, again)

    assert (again / "rowel.db").read_bytes() == before


async def test_a_directory_in_use_is_refused_with_who_uses_it(backup, house):
    engine = await house.open()
    with pytest.raises(Conflict, match="is in use by Rowel process"):
        await put_back(backup, house.data)

    assert await engine.list_datasets() != []


@pytest.mark.parametrize("share", [0.0005, 0.3, 0.9, 0.95])
@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
async def test_a_backup_that_was_cut_off_brings_nothing(backup, again, share, squeeze):
    whole = squeeze(backup.read_bytes())
    backup.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Invalid):
        await put_back(backup, again)

    assert names_in(again) == ["rowel.lock"]


@pytest.mark.parametrize("part", [b"SQLite format 3", b"x" * 1000, b"n\n1\n"])
async def test_one_wrong_bit_is_found(backup, again, part):
    content = bytearray(backup.read_bytes())
    content[content.index(part) + len(part) - 1] ^= 1
    backup.write_bytes(content)
    with pytest.raises(Invalid, match="not whole"):
        await put_back(backup, again)

    assert names_in(again) == ["rowel.lock"]


async def test_what_is_no_backup_is_refused(again, tmp_path, backup):
    with pytest.raises(NotFound, match="There is no backup"):
        await put_back(tmp_path / "none.tar", again)
    for content in (b"", b"text", b"SQLite format 3\0" * 100, _tar("notes.txt", b"x")):
        backup.write_bytes(content)
        with pytest.raises(Invalid, match="This is no backup of Rowel's"):
            await put_back(backup, again)


def _tar(name, content, kind=tarfile.REGTYPE):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.type = len(content), kind
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["files/../../outside", "../outside", "files//etc/outside", "rowel.lock", "files/.x", "notes.txt"]
)
async def test_names_that_lead_elsewhere_are_refused(again, tmp_path, name):
    archive = io.BytesIO()
    writer = ArchiveWriter(archive.write, 0)
    writer.add_contents(CONTENTS)
    writer.add(name, 1, [b"x"])
    writer.close()
    (tmp_path / "bad.tar").write_bytes(archive.getvalue())
    with pytest.raises(Invalid, match="no file of Rowel's"):
        await put_back(tmp_path / "bad.tar", again)

    assert list(tmp_path.rglob("outside")) == []


async def test_a_link_in_a_backup_is_refused(backup, again):
    whole = backup.read_bytes()
    backup.write_bytes(whole[:1024] + _tar("files/uploads/link", b"", tarfile.SYMTYPE)[:512] + whole[1024:])
    with pytest.raises(Invalid, match="which is no file"):
        await put_back(backup, again)


async def test_a_backup_without_a_database_is_none(again, tmp_path):
    archive = io.BytesIO()
    writer = ArchiveWriter(archive.write, 0)
    writer.add_contents(CONTENTS)
    writer.close()
    (tmp_path / "bad.tar").write_bytes(archive.getvalue())
    with pytest.raises(Invalid, match="not whole"):
        await put_back(tmp_path / "bad.tar", again)


async def test_a_backup_of_a_newer_rowel_is_refused(backup, again, tmp_path):
    content = backup.read_bytes()
    backup.write_bytes(content.replace(b'"format": 1', b'"format": 2', 1))
    with pytest.raises(Invalid, match="that of a newer Rowel"):
        await put_back(backup, again)


async def test_a_database_of_a_newer_rowel_is_refused(house, again, tmp_path):
    await house.shut(await house.open())
    connection = sqlite3.connect(house.data / "rowel.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(Invalid, match="that of a newer Rowel"):
        take_backup(house.data, tmp_path / "b.tar", FileStore(str(house.data / "files")), house.clock.now())


async def test_a_restore_that_was_interrupted_is_not_served_and_can_be_begun_anew(
    backup, again, house, monkeypatch
):
    class PowerCut(BaseException):
        pass

    def cut(*_):
        raise PowerCut

    for step in ("_write", "_publish"):
        monkeypatch.setattr(restoring, step, cut)
        monkeypatch.setattr(restoring, "_clear", lambda data: None)
        with pytest.raises(PowerCut):
            await put_back(backup, again)
        monkeypatch.undo()
        other = House(again, house.stage, house.clock)
        with pytest.raises(Conflict, match="was not finished; run it again"):
            await other.open()

    await put_back(backup, again)
    engine = await other.open()
    assert [dataset.rows for dataset in await engine.list_datasets()] == [1]
    await other.close()


async def test_a_disk_that_is_full_is_said_and_leaves_nothing(backup, again, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring.NewFile, "write", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        await put_back(backup, again)

    assert names_in(again) == ["rowel.lock"]
