"""The suite's own databases: one for each test, and nothing left behind."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from rowel.store.database import Database
from tests.support.postgres import Postgres, server

ROOT = Path(__file__).parents[2]


def _tables(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [name for (name,) in rows]


def _create_table(url: str, name: str = "made_here") -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TABLE {name} (id int)")


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_a_database_of_its_own(postgres_url, turn):
    assert "runs" in _tables(postgres_url)
    assert "made_here" not in _tables(postgres_url)
    _create_table(postgres_url)


def test_a_test_may_have_a_database_without_tables(empty_postgres_url, empty_sqlite_url):
    assert _tables(empty_postgres_url) == []
    assert not Path(empty_sqlite_url.removeprefix("sqlite:///")).exists()


async def test_the_tables_are_there_on_both(database_url):
    database = Database(database_url)
    try:
        assert (
            await database.read(lambda connection: connection.execute(text("SELECT * FROM runs")).all()) == []
        )
    finally:
        await database.close()


def test_a_database_is_gone_after_its_block_though_someone_is_connected(postgres):
    with postgres.database() as url:
        connection = psycopg.connect(url)

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    connection.close()


def test_a_template_is_filled_once_and_copied(postgres):
    template = postgres.template(lambda url: _create_table(url, "from_template"))

    with postgres.database(template) as one, postgres.database(template) as other:
        assert _tables(one) == _tables(other) == ["from_template"]
    postgres.drop(template)


def test_a_test_on_database_url_runs_on_both(database_url, request):
    assert database_url.startswith(
        {"sqlite": "sqlite:///", "postgres": "postgresql://"}[request.node.callspec.id]
    )


#: Starts a server, says which, and waits to be killed.
OWNER = """
import signal
from tests.support import postgres
_, running = postgres.start(postgres.programs())
print(running.keeper, running.port, running.home, flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes the way Linux shows them")
def test_the_server_ends_and_leaves_no_files_when_its_pytest_is_killed(postgres):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        keeper, port, home = owner.stdout.readline().split()
        keeper_end = os.pidfd_open(int(keeper))
        owner.kill()

    ended, _, _ = select.select([keeper_end], [], [], 60)
    os.close(keeper_end)

    assert ended
    assert not Path(home).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))


def test_a_server_that_cannot_start_says_why(tmp_path, postgres):
    with (
        pytest.raises(RuntimeError, match=r"did not start:\n.*initdb: "),
        server(tmp_path / "no-programs"),
    ):
        pass


def test_a_database_that_was_used_is_as_new_under_another_name(postgres: Postgres) -> None:
    template = postgres.template(lambda url: _create_table(url, "from_template"))
    seen = []

    def use(*, change: str = "INSERT INTO from_template VALUES (1)") -> None:
        with postgres.database(template) as url, psycopg.connect(url, autocommit=True) as connection:
            oid = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()")
            seen.append((url, oid.fetchone()))
            assert connection.execute("SELECT count(*) FROM from_template").fetchone() == (0,)
            connection.execute(change)

    use()
    use()
    use(change="CREATE TABLE one_more (id int)")
    use()

    urls, numbers = zip(*seen, strict=True)
    assert len(set(urls)) == 4
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3]
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(urls[0])
    postgres.drop(template)
