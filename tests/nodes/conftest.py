from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rowel.nodes.clients.http import HTTPClient
from tests.support.providers import Providers


@pytest.fixture
def providers() -> Iterator[Providers]:
    """Stand-ins on loopback for models, Firecrawl, Slack and plain services."""
    with Providers() as running:
        yield running


@pytest.fixture
async def http(providers: Providers) -> AsyncIterator[HTTPClient]:
    """An HTTP client that may reach the stand-ins by their address, and nothing else that is not public."""
    client = HTTPClient(allow=[f"127.0.0.1:{providers.port}"])
    yield client
    await client.close()
