"""What nodes gave, kept for a while. It is written with the tasks that gave it (see `journal`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from rowel.core.outcomes import Fields
from rowel.store import rows
from rowel.store.dialect import Dialect
from rowel.store.statements import compile_statement
from rowel.store.tables import step_cache
from rowel.store.transitions import number, word
from rowel.store.writer import Writer

#: Entries that are removed together.
TOGETHER = 100


def find(connection: Connection, key: str, now: datetime) -> Fields | None:
    """The outputs under this key, unless their time is over."""
    is_it = (step_cache.c.key == key, step_cache.c.expires_at > rows.to_number(now))
    text = connection.execute(select(step_cache.c.outputs).where(*is_it)).scalar_one_or_none()
    found: Fields | None = rows.from_text(text)
    return found


def size(connection: Connection) -> int:
    """Characters of all outputs."""
    return int(connection.execute(select(func.coalesce(func.sum(step_cache.c.size), 0))).scalar_one())


def oldest(connection: Connection, count: int) -> list[tuple[str, int]]:
    """Keys and sizes of those whose time is over first."""
    query = select(step_cache.c.key, step_cache.c.size).order_by(step_cache.c.expires_at, step_cache.c.key)
    return [(key, length) for key, length in connection.execute(query.limit(count))]


class StepCacheWrites:
    """Removes entries through the process's one writer."""

    def __init__(self, writer: Writer, dialect: Dialect) -> None:
        self._writer = writer
        is_over = step_cache.c.expires_at <= number("now")
        some = (
            select(step_cache.c.key).where(is_over).order_by(step_cache.c.expires_at).limit(number("count"))
        )
        expired = delete(step_cache).where(step_cache.c.key.in_(some))
        self._forget_expired = compile_statement(expired, dialect.sql)
        self._forget = compile_statement(
            delete(step_cache).where(step_cache.c.key == word("key")), dialect.sql
        )

    async def forget_expired(self, now: datetime, count: int) -> int:
        """Forget those whose time is over; return how many of at most `count` went."""
        step = self._forget_expired.bind({"now": rows.to_number(now), "count": count})
        (went,) = await self._writer.write([step])
        return went if isinstance(went, int) else 0

    async def forget(self, keys: Sequence[str]) -> None:
        await self._writer.write([self._forget.bind({"key": key}) for key in keys])
