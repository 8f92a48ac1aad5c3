"""The tables that migrations make are the tables that the code knows."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import rowel.store.dialect
from rowel.core.errors import Conflict, Unavailable
from rowel.store.database import MIGRATIONS, Database, newest_revision, revisions
from rowel.store.tables import metadata
from tests.support.ledger import Ledger


async def test_migrations_make_exactly_the_tables_of_the_code(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    database.migrate()
    ours = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith("procrastinate_")}
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=ours), metadata) == []
    await database.close()


def test_the_names_of_the_files_tell_the_revisions() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert revisions() == {script.revision for script in scripts.walk_revisions()}
    assert [newest_revision()] == scripts.get_heads()


async def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    database.migrate()
    database.migrate()
    await database.close()


async def test_tables_of_a_newer_version_are_refused_and_left_alone(database_url: str) -> None:
    database = Database(database_url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match=r"newer version of Rowel.*'9999'.*restore a backup"):
        database.migrate()
    assert not database.is_migrated()
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    await database.close()


async def test_several_servers_may_migrate_at_once(empty_postgres_url: str) -> None:
    databases = [Database(empty_postgres_url) for _ in range(3)]
    errors: list[Exception] = []

    def migrate(database: Database) -> None:
        try:
            database.migrate()
        except Exception as error:  # noqa: BLE001  # each is looked at below
            errors.append(error)

    threads = [threading.Thread(target=migrate, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        await database.close()
    assert errors == []


async def test_sqlite_is_durable_and_readable_beside_its_writer(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    await database.close()


async def test_partial_indexes_hold_only_what_they_are_for(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    database.migrate()
    find = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '%WHERE%'"
        " AND indexname NOT LIKE '%procrastinate%'",
    }[database.engine.dialect.name]
    found = dict(
        await database.read(lambda connection: [tuple(row) for row in connection.execute(text(find))])
    )
    await database.close()
    wanted = {
        index.name: index.dialect_options["sqlite"]["where"].text
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert set(found) == set(wanted)
    assert {name: plain(sql.partition("WHERE")[2]) for name, sql in found.items()} == {
        name: plain(condition) for name, condition in wanted.items()
    }


def plain(condition: str) -> str:
    """A condition without the brackets and types that Postgres adds."""
    return condition.replace("(", "").replace(")", "").replace("::text", "").strip()


async def test_what_was_written_stays_when_a_server_migrates_again(database_url: str) -> None:
    ledger = Ledger(database_url)
    run = await ledger.begin("a")
    ledger.database.migrate()
    assert await ledger.run(run.id) == run
    await ledger.close()


@pytest.mark.parametrize("name", ["a b", "100%", "what?x=1", "a#b", "ünï", "it's"])
async def test_a_database_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    file = tmp_path / name / "rowel.db"
    ledger = Ledger(f"sqlite:///{file}")
    ledger.database.migrate()
    run = await ledger.begin()
    assert await ledger.run(run.id) == run
    assert file.exists()
    await ledger.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
async def test_postgres_has_two_names(postgres_url: str, scheme: str) -> None:
    ledger = Ledger(postgres_url.replace("postgresql", scheme, 1))
    run = await ledger.begin()
    assert await ledger.run(run.id) == run
    await ledger.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "rowel.db", "", "sqlite://x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="SQLite or Postgres"):
        Database(url)


def test_a_refused_url_does_not_tell_its_password() -> None:
    with pytest.raises(ValueError, match="SQLite or Postgres") as caught:
        Database("mysql://ann:secret@host/db")
    assert "secret" not in str(caught.value)


async def test_whoever_holds_the_file_for_too_long_is_told_of(
    empty_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowel.store.dialect, "MIGRATION_BUSY_S", 0.05)
    database = Database(empty_sqlite_url)
    with closing(sqlite3.connect(empty_sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="can't be brought up to date: database is locked"):
            database.migrate()
        other.execute("ROLLBACK")
    database.migrate()
    assert database.is_migrated()
    await database.close()


async def test_whoever_comes_anew_reads_though_another_process_holds_the_file(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
        other.execute("ROLLBACK")
    await database.close()


async def test_a_server_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(Unavailable):
        database.check()
    await database.close()
