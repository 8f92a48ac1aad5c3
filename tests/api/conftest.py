from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from rowel.api.http import create_api
from rowel.api.options import Limits, Options
from rowel.engine.compose import build_engine
from rowel.engine.engine import Engine
from rowel.settings import Settings
from tests.support.api import Api
from tests.support.source import ROOT


@pytest.fixture
async def engine(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Engine]:
    """A real engine on a directory of this test's own."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(sqlite_template, data / "rowel.db")
    running = build_engine(data)
    await running.open()
    yield running
    await running.close()


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    """The API over that engine, asked without a network."""
    options = Options(
        hosts=Settings().hosts,
        limits=Limits(body=256 * 1024, definition=128 * 1024, upload=1024 * 1024),
        templates=ROOT / "examples",
    )
    transport = httpx.ASGITransport(app=create_api(engine, options))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:6080") as http:
        yield Api(http)
