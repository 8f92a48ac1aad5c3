"""Servers and workers on one Postgres of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fleet import TOLD_ONLY, Fleet


@pytest.fixture
async def fleet(tmp_path: Path, postgres_url: str, stage) -> AsyncIterator[Fleet]:
    """Engines that look after each other often."""
    fleet = Fleet(tmp_path / "data", postgres_url, stage)
    yield fleet
    await fleet.close()


@pytest.fixture
async def told(tmp_path: Path, postgres_url: str, stage) -> AsyncIterator[Fleet]:
    """Engines that know only what they are told."""
    fleet = Fleet(tmp_path / "data", postgres_url, stage, TOLD_ONLY)
    yield fleet
    await fleet.close()
