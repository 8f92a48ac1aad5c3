"""What every test may ask for: a fresh database, on SQLite, on Postgres or on both in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support import not_run
from tests.support.migration import migrate
from tests.support.postgres import REMEDY, Postgres, programs, server

if TYPE_CHECKING:
    from tests.support.buckets import S3, Bucket

# Machines are shared and slow at times: an example that takes long is no failure. New examples are looked for at a
# desk, where somebody can follow them up; CI tries the same ones each time.
settings.register_profile(
    "rowel", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not_run.is_ci()
)
settings.load_profile("rowel")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run.report(config, terminalreporter)


#: Where the longest files are: they wait for real processes, or try very many things.
LONG = ("/journeys/", "/cli/drill/", "test_drill.py", "test_openapi.py", "test_model.py", "test_plays.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first, so that in the end no core waits for another one's last file."""
    items.sort(key=lambda item: all(part not in item.nodeid for part in LONG))


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[Postgres | None]:
    """The session's server, or None where Postgres is not installed."""
    binaries = programs()
    if binaries is None:
        yield None
        return
    with server(binaries) as postgres:
        yield postgres


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """The session's Postgres server. The test is left out, loudly, where there is none."""
    running: Postgres | None = request.getfixturevalue("running_postgres")
    return running if running is not None else not_run.leave_out(request, "Postgres", REMEDY)


@pytest.fixture(scope="session")
def postgres_template(running_postgres: Postgres | None) -> str | None:
    """A database with Rowel's tables, from which every test gets its copy: faster than to migrate each."""
    return running_postgres.template(migrate) if running_postgres is not None else None


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with Rowel's tables."""
    file = tmp_path_factory.mktemp("template") / "rowel.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """A `postgresql://` URL of a database of this test's own, with Rowel's tables and nothing in them."""
    with postgres.database(postgres_template) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A `sqlite:///` URL of a file of this test's own, with Rowel's tables and nothing in them."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with Rowel's tables. The test runs on SQLite and on Postgres."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A `postgresql://` URL of a database of this test's own, without any table."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A `sqlite:///` URL of a file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database without any table. The test runs on SQLite and on Postgres."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3]:
    """The session's server of buckets."""
    from tests.support.buckets import serve_s3  # takes a second to load

    with serve_s3() as server:
        yield server


@pytest.fixture
def s3(running_s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A server of buckets, which this process finds by its variables."""
    for name, value in running_s3.environment.items():
        monkeypatch.setenv(name, value)
    running_s3.asked.clear()
    yield running_s3
    running_s3.trouble = None


@pytest.fixture
def bucket(s3: S3) -> Bucket:
    """A bucket of the test's own."""
    return s3.make()
