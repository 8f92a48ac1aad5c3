from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rowel.nodes.clients.http import HTTPClient
from rowel.nodes.clients.llm import ModelClient
from rowel.nodes.context import Context, Services
from tests.support.blobs import Blobs
from tests.support.contexts import make_context, make_services
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


@pytest.fixture
def blobs() -> Blobs:
    """Rowel's own files, in memory."""
    return Blobs()


@pytest.fixture
async def services(providers: Providers, http: HTTPClient, blobs: Blobs) -> AsyncIterator[Services]:
    """The real clients, led to the stand-ins."""
    models = ModelClient(providers.environment, blobs, http)
    yield make_services(llm=models, http=http, blobs=blobs, environment=providers.environment)
    await models.close()


@pytest.fixture
def context(services: Services) -> Context:
    """A task's context over the real clients."""
    return make_context(services)
