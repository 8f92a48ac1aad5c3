"""What every test may ask for: a fresh database, on SQLite, on Postgres or on both in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import not_run
from tests.support.postgres import REMEDY, Postgres, programs, server

# Machines are shared and slow at times: an example that takes long is no failure.
settings.register_profile("rowel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rowel")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run.report(config, terminalreporter)


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


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A `postgresql://` URL of an empty database that is this test's own."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A `sqlite:///` URL of a file that does not exist yet, in this test's own directory."""
    return f"sqlite:///{tmp_path / 'rowel.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of this test's own. The test runs on SQLite and on Postgres."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
