"""Hears what other processes commit: LISTEN on a connection of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
from psycopg import sql

from rowel.store.news import CHANNEL, EVERYTHING, News, read_news
from rowel.store.postgres import Postgres

log = logging.getLogger(__name__)

#: Seconds before a lost connection is made anew.
RECONNECT_EACH_S = 0.5


async def notices(dialect: Postgres) -> AsyncIterator[News]:
    """What others commit, for ever. Whenever something may have been missed it says: everything."""
    while True:
        try:
            async for news in _listen(dialect):
                yield news
        except psycopg.Error as error:
            log.info("the listener's connection is made anew: %s", error)
        await asyncio.sleep(RECONNECT_EACH_S)


async def _listen(dialect: Postgres) -> AsyncIterator[News]:
    connection = await psycopg.AsyncConnection.connect(**dialect.settings(), autocommit=True)
    try:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        yield News("", [EVERYTHING])
        async for notice in connection.notifies():
            yield read_news(notice.payload)
    finally:
        with suppress(psycopg.Error):
            await connection.close()
