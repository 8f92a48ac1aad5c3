from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.ledger import Ledger


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """A journal on SQLite, and on Postgres."""
    opened = Ledger(database_url)
    yield opened
    await opened.close()
