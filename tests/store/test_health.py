"""A database is looked at without being changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowel.store.health import examine


def test_a_whole_database_has_nothing_wrong(database_url: str) -> None:
    assert examine(database_url) is None


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "rowel.db"
    file.write_bytes(b"this is no database, but it is long enough to be read as one " * 20)
    problem = examine(f"sqlite:///{file}")
    assert problem is not None
    assert "not a database" in problem


def test_a_server_that_is_not_there_is_said_to_be_missing() -> None:
    problem = examine("postgresql://nobody:secret@127.0.0.1:1/none")
    assert problem is not None
    assert "can't be opened" in problem
    assert "secret" not in problem


def test_a_damaged_page_is_found(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 3 + 200] = b"\xff" * 200
    file.write_bytes(bytes(content))
    problem = examine(sqlite_url)
    assert problem is not None
    assert "damaged" in problem or "malformed" in problem


@pytest.mark.parametrize("url", ["mysql://x/y", "x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="SQLite or Postgres"):
        examine(url)
