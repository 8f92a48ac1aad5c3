"""Who waits for a lock on Postgres, seen from outside, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

_WAITING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


class Onlooker:
    """A connection that looks at the others of its database."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def waiting(self, count: int = 1, within_s: float = 20.0) -> list[int]:
        """The processes that wait for locks, as soon as there are `count` of them."""
        async with asyncio.timeout(within_s):
            while len(found := await self._waiting()) < count:  # noqa: ASYNC110  # a lock sets no event here
                await asyncio.sleep(0.01)
        return found

    async def gone(self, process: int, within_s: float = 20.0) -> None:
        """Return as soon as this one waits no more."""
        async with asyncio.timeout(within_s):
            while process in await self._waiting():  # noqa: ASYNC110  # the same
                await asyncio.sleep(0.01)

    async def cut(self, process: int) -> None:
        """End a connection as a restart of the server would."""
        await self._connection.execute("SELECT pg_terminate_backend(%s)", (process,))

    async def _waiting(self) -> list[int]:
        cursor = await self._connection.execute(_WAITING)
        return [process for (process,) in await cursor.fetchall()]


@asynccontextmanager
async def onlooker(url: str) -> AsyncIterator[Onlooker]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield Onlooker(connection)


@asynccontextmanager
async def transaction(url: str, *statements: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Another process's open transaction, in which these statements were run."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for statement in statements:
            await connection.execute(statement)
        yield connection
