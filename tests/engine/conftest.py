"""An engine on a database of the test's own, with scripted nodes and a clock that stands still."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowel.engine.engine import Engine
from tests.support.clocks import FakeClock
from tests.support.fake_nodes import Stage
from tests.support.house import House


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def house(
    tmp_path: Path, sqlite_template: Path, stage: Stage, clock: FakeClock
) -> AsyncIterator[House]:
    """A data directory on SQLite."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(sqlite_template, data / "rowel.db")
    house = House(data, stage, clock)
    yield house
    await house.close()


@pytest.fixture
async def engine(house: House) -> Engine:
    """An open engine; the house drops it in the end."""
    return await house.open()


@pytest.fixture
async def postgres_house(
    tmp_path: Path, postgres_url: str, stage: Stage, clock: FakeClock
) -> AsyncIterator[House]:
    """A data directory with its tables on Postgres."""
    house = House(tmp_path / "data", stage, clock, postgres_url)
    yield house
    await house.close()
