"""Copies of a SQLite database that others work on, and what is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rowel.core.errors import Invalid, Unavailable
from rowel.store.database import revisions


@dataclass(frozen=True)
class Figures:
    """What a copy holds. `revision` is that of its tables."""

    revision: str
    workflows: int
    runs: int
    open_runs: int


def copy_database(source: Path, target: Path) -> None:
    """Copy the database as it is at one moment, beside whoever writes it.

    In WAL mode a reader keeps no writer waiting. Raises `Unavailable` where it can't be read or copied, and `Invalid`
    where what was copied is damaged.
    """
    place = f"{source.absolute().as_uri()}?mode=rw"
    with (
        _telling("copied"),
        closing(sqlite3.connect(place, uri=True)) as origin,
        closing(sqlite3.connect(target)) as copy,
    ):
        # All pages in one step: between steps a writer would make it begin anew.
        origin.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")
        _check(copy)


def check_database(path: Path) -> None:
    """Raise `Invalid` where the database is damaged."""
    with _telling("read"), closing(sqlite3.connect(path)) as connection:
        _check(connection)


def figures(path: Path) -> Figures:
    """What a copy holds. Raises `Invalid` for a database of a newer Rowel, or of none."""
    with _telling("read"), closing(sqlite3.connect(path)) as connection:
        revision = str(_number(connection, "SELECT version_num FROM alembic_version"))
        if revision not in revisions():
            raise Invalid("The database is that of a newer Rowel. Use that version of Rowel, or a later one.")
        return Figures(
            revision=revision,
            workflows=_number(connection, "SELECT count(*) FROM workflows WHERE deleted_at IS NULL"),
            runs=_number(connection, "SELECT count(*) FROM runs"),
            open_runs=_number(connection, "SELECT count(*) FROM runs WHERE end_time IS NULL"),
        )


def named_files(path: Path) -> set[str]:
    """The keys of the files that the records of a copy name: datasets, and output files that are whole."""
    query = "SELECT key FROM datasets UNION ALL SELECT key FROM output_files WHERE is_ready = 1"
    with _telling("read"), closing(sqlite3.connect(path)) as connection:
        return {key for (key,) in connection.execute(query)}


def forget_files(path: Path, keys: Iterable[str]) -> None:
    """Remove the records of these files from a copy: they were deleted while it was made."""
    gone = [(key,) for key in keys]
    with _telling("written"), closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("DELETE FROM datasets WHERE key = ?", gone)
        connection.executemany("DELETE FROM output_files WHERE key = ?", gone)


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise Invalid(f"The database is damaged: {found}")


def _number(connection: sqlite3.Connection, query: str) -> int:
    found: int = connection.execute(query).fetchone()[0]
    return found


@contextmanager
def _telling(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"The database can't be {what}: {error}") from error
