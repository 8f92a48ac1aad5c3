from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rowel.files import disk
from rowel.files.disk import NewFile, make_directories, remove_file


@pytest.fixture(params=["unnamed", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to write: as Linux can, and as every system can."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return str(request.param)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was synced and renamed, in order."""
    found: list[str] = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        found.append(f"directory {place.relative_to(tmp_path)}" if is_directory else "file")
        fsync(descriptor)

    def seen_replace(source: Any, target: Any) -> None:
        found.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    return found


def below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def write(path: Path, *parts: bytes, publish: bool = True) -> None:
    file = NewFile(path)
    try:
        file.open()
        for part in parts:
            file.write(part)
        if publish:
            file.publish()
    finally:
        file.close()


@pytest.mark.usefixtures("way")
def test_a_published_file_is_all_there_and_alone(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b.csv", b"one,", b"two")
    assert (tmp_path / "a" / "b.csv").read_bytes() == b"one,two"
    assert below(tmp_path) == ["a/b.csv"]


@pytest.mark.usefixtures("way")
def test_an_unpublished_file_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", b"half", publish=False)
    assert below(tmp_path) == []


@pytest.mark.usefixtures("way")
def test_the_old_file_stays_until_the_new_one_is_published(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", b"old")
    write(tmp_path / "b.csv", b"half", publish=False)
    assert (tmp_path / "b.csv").read_bytes() == b"old"
    write(tmp_path / "b.csv", b"new")
    assert (tmp_path / "b.csv").read_bytes() == b"new"
    assert below(tmp_path) == ["b.csv"]


@pytest.mark.usefixtures("way")
def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_answer(
    tmp_path: Path, steps: list[str]
) -> None:
    write(tmp_path / "b.csv", b"x")
    assert steps == ["file", "rename", "directory ."]


def test_every_new_directory_is_on_the_disk_too(tmp_path: Path, steps: list[str]) -> None:
    write(tmp_path / "uploads" / "1" / "b.csv", b"x")
    assert steps == ["directory .", "directory uploads", "file", "rename", "directory uploads/1"]


def test_directories_that_are_there_already_cost_nothing(tmp_path: Path, steps: list[str]) -> None:
    make_directories(tmp_path)
    assert steps == []


def test_a_removed_name_is_gone_from_the_disk(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / "b.csv").write_bytes(b"x")
    remove_file(tmp_path / "b.csv")
    assert steps == ["directory ."]
    assert below(tmp_path) == []


def test_where_the_file_system_makes_no_unnamed_files_they_get_a_hidden_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(disk.errno.EOPNOTSUPP, "not supported")
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    write(tmp_path / "b.csv", b"x")
    assert below(tmp_path) == ["b.csv"]


def test_another_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> int:
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        write(tmp_path / "b.csv", b"x")


def test_a_file_must_be_opened_first(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not open"):
        NewFile(tmp_path / "b.csv").write(b"x")


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux makes files without a name")
def test_a_process_killed_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rowel.files.disk import NewFile\n"
        f"file = NewFile(Path({str(tmp_path)!r}) / 'b.csv')\n"
        "file.open(); file.write(b'x' * 1_000_000)\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert below(tmp_path) == []
