from __future__ import annotations

from collections.abc import Iterator

import pytest

from rowel import Client
from tests.support.providers import Providers
from tests.support.server import Server


@pytest.fixture(scope="module")
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, world: Providers) -> Iterator[Server]:
    """One real server for a module's tests."""
    data = tmp_path_factory.mktemp("server")
    with Server(data, {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected
