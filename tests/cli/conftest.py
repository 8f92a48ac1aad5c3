from __future__ import annotations

from collections.abc import Iterator

import pytest

from rowel import Client
from tests.support.commands import Commands
from tests.support.providers import Providers, Reply
from tests.support.server import Server


@pytest.fixture(scope="package")
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, world: Providers) -> Iterator[Server]:
    """One real server for all commands."""
    with Server(
        tmp_path_factory.mktemp("server"), {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}
    ) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


@pytest.fixture
def rowel(server: Server) -> Commands:
    return Commands(server.url)


@pytest.fixture
def slow(world: Providers) -> Iterator[str]:
    """A URL that answers when the test sets `world.released`, and at the latest when the test ends."""
    world.released.clear()
    world.forget()
    world.on("/slow", world.held(Reply(json={})))
    yield f"{world.url}/slow"
    world.released.set()


@pytest.fixture
def stranger() -> Iterator[Providers]:
    """Something that is no Rowel, or one in trouble: each test scripts its paths."""
    with Providers() as providers:
        yield providers
