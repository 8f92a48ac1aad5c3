"""`rowel backup` and `rowel restore`: what they say, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Commands
from tests.support.server import Server


def test_a_backup_of_a_running_server_says_what_it_holds(
    rowel: Commands, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "b.tar"
    ended = rowel("backup", str(file), "--data", str(server.data))
    assert ended.code == 0
    assert ended.out.startswith(f"{file} holds ")

    again = rowel("backup", str(file), "--data", str(server.data))
    assert (again.code, again.out) == (2, "")
    assert f"{file} is there already" in again.err


def test_a_restore_says_how_to_go_on(rowel: Commands, server: Server, tmp_path: Path) -> None:
    taken = rowel("backup", str(tmp_path / "b.tar"), "--data", str(server.data), "--json")
    assert taken.json["files"] >= 0
    ended = rowel("restore", str(tmp_path / "b.tar"), ROWEL_DATA=str(tmp_path / "new"))
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == f"Go on: rowel serve --data {tmp_path / 'new'}"

    again = rowel("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    assert again.code == 2
    assert "is not empty" in again.err
    quiet = rowel("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "other"), "--json")
    assert quiet.json["contents"] == taken.json["contents"]


def test_the_directory_of_a_running_server_is_refused_with_its_url(
    rowel: Commands, server: Server, tmp_path: Path
) -> None:
    rowel("backup", str(tmp_path / "b.tar"), "--data", str(server.data))
    ended = rowel("restore", str(tmp_path / "b.tar"), "--data", str(server.data))
    assert ended.code == 2
    assert "is in use by Rowel process" in ended.err
    assert server.url in ended.err


def test_a_broken_backup_ends_with_4(rowel: Commands, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("no tar")
    ended = rowel("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "new"))
    assert ended.code == 4
    assert "This is no backup of Rowel's." in ended.err


def test_what_can_not_be_read_ends_with_3(rowel: Commands, tmp_path: Path) -> None:
    (tmp_path / "rowel.db").write_text("no database at all")
    ended = rowel("backup", str(tmp_path / "b.tar"), "--data", str(tmp_path))
    assert ended.code == 3
    assert "The database can't be copied: file is not a database" in ended.err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_postgres_is_left_to_its_own_tools(rowel: Commands, tmp_path: Path, command: str) -> None:
    ended = rowel(command, str(tmp_path / "b.tar"), ROWEL_DATABASE_URL="postgresql://ann:secret@db/rowel")
    assert ended.code == 2
    assert "pg_dump" in ended.err
    assert "secret" not in ended.err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_setting_that_can_not_be_ends_with_2(rowel: Commands, tmp_path: Path, command: str) -> None:
    assert rowel(command, str(tmp_path / "b.tar"), ROWEL_FILES_URL="/srv").code == 2
