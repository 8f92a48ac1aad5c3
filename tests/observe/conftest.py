from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from rowel.api.http import create_api
from rowel.api.options import Options
from rowel.engine.compose import build_engine
from rowel.engine.engine import Engine
from rowel.observe.exposition import Exposition
from rowel.observe.metrics import Metrics
from tests.support.api import Api
from tests.support.contexts import make_services


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def engine(tmp_path: Path, metrics: Metrics) -> AsyncIterator[Engine]:
    running = build_engine(tmp_path / "data", services=make_services(), observer=metrics)
    await running.open()
    yield running
    await running.close()


@pytest.fixture
async def api(engine: Engine, metrics: Metrics) -> AsyncIterator[Api]:
    options = Options(watcher=metrics, metrics=Exposition(metrics, engine.waiting).render)
    transport = httpx.ASGITransport(app=create_api(engine, options))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:6080") as http:
        yield Api(http)
