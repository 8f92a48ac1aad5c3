"""What many processes take of the limits of models, counted on Postgres.

A scope's state is a row, read and written back in one short transaction. Places (at most n calls at once) are
session-level advisory locks: they vanish with the connection of a process that dies.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from rowel.core.errors import Unavailable
from rowel.core.limits import Ask, Scope, State, Taken, Wait, corrected, serve
from rowel.store.postgres import Postgres

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between looks for a place, of which nobody says when it is free.
PLACES_EACH_S = 0.25
#: Seconds between looks at least, where several processes wait for the same moment.
LOOKS_EACH_S = 0.05

READ = """SELECT key, requests_at, tokens_at, held_until FROM allowances WHERE key = ANY(%s)
ORDER BY key FOR UPDATE"""
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
MAKE = "INSERT INTO allowances (key, requests_at, tokens_at, held_until) VALUES (%s, 0, 0, 0) ON CONFLICT DO NOTHING"
WRITE = "UPDATE allowances SET requests_at = %s, tokens_at = %s WHERE key = %s"
CORRECT = "UPDATE allowances SET tokens_at = tokens_at + %s WHERE key = %s"
HOLD = f"""INSERT INTO allowances (key, requests_at, tokens_at, held_until)
VALUES (%s, 0, 0, ({NOW}) + %s)
ON CONFLICT (key) DO UPDATE SET held_until = greatest(allowances.held_until, excluded.held_until)"""
LOCK = "SELECT place FROM unnest(%s::int[]) AS place WHERE pg_try_advisory_lock(%s, place) LIMIT %s"
UNLOCK = "SELECT pg_advisory_unlock(%s, place) FROM unnest(%s::int[]) AS place"


class _Found(NamedTuple):
    """What the rows allow; `now` is the database's time."""

    going: int
    wait: Wait | None
    now: float


class SharedAllowances:
    """Implements `Allowances` for processes that share a Postgres, on a connection and a thread of its own."""

    def __init__(self, dialect: Postgres, now: Callable[[], float]) -> None:
        """`now` tells seconds by the clock of the caller; what is counted follows the database's."""
        self._dialect = dialect
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rowel-allowances")
        self._connection: Any = None
        self._is_closed = False
        #: The places that calls of this process have, by scope, and calls that lost theirs with a connection.
        self._places: dict[str, list[int]] = {}
        self._bereft: Counter[str] = Counter()

    async def take(self, scopes: Sequence[Scope], asks: Sequence[Ask]) -> Taken:
        if not asks:
            return Taken(0, None)
        found = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._attempt, lambda: self._take(scopes, asks)
        )
        wait = found.wait
        if wait is not None and wait.until is not None:
            wait = wait._replace(until=self._now() + max(LOOKS_EACH_S, wait.until - found.now))
        return Taken(found.going, wait)

    def give_back(self, scopes: Sequence[Scope], ask: Ask, tokens: int | None) -> None:
        self._later(lambda: self._give_back(scopes, ask, tokens))

    def hold(self, scope: Scope, seconds: float) -> None:
        self._later(lambda: self._connected().execute(HOLD, (scope.key, _micro(seconds))))

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
            self._thread.shutdown(wait=False)

    def _later(self, work: Callable[[], object]) -> None:
        def do() -> None:
            try:
                self._attempt(work)
            except Exception as error:  # noqa: BLE001  # the places are free with the connection, tokens stay as estimated
                log.info("what a call has used could not be written: %s", error)

        with suppress(RuntimeError):  # It is closed.
            self._thread.submit(do)

    def _attempt(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception:
            self._drop()
            raise

    def _take(self, scopes: Sequence[Scope], asks: Sequence[Ask]) -> _Found:
        connection = self._connected()
        # Of places nobody knows here how many are taken.
        by_time = [scope._replace(limit=replace(scope.limit, at_once=None)) for scope in scopes]
        with connection.transaction():
            states = self._read(connection, by_time)
            now = connection.execute(NOW).fetchone()[0] / 1e6
            allowed = serve(by_time, states, asks, now)
            going, full = self._take_places(connection, scopes, asks[: allowed.going])
            served = serve(by_time, states, asks[:going], now)
            for scope in by_time:
                if _is_counted(scope) and going:
                    state = served.states[scope.key]
                    values = (_micro(state.requests_at), _micro(state.tokens_at), scope.key)
                    connection.execute(WRITE, values)
        if full is not None:
            return _Found(going, Wait(now + PLACES_EACH_S, f"{full.name}: {full.limit.at_once} at once"), now)
        return _Found(going, allowed.wait, now)

    def _read(self, connection: Any, scopes: Sequence[Scope]) -> dict[str, State]:
        keys = [scope.key for scope in scopes]
        found = connection.execute(READ, (keys,)).fetchall()
        missing = {scope.key for scope in scopes if _is_counted(scope)} - {key for key, *_ in found}
        if missing:
            for key in sorted(missing):
                connection.execute(MAKE, (key,))
            found = connection.execute(READ, (keys,)).fetchall()
        return {key: State(*(time / 1e6 for time in times)) for key, *times in found}

    def _take_places(
        self, connection: Any, scopes: Sequence[Scope], asks: Sequence[Ask]
    ) -> tuple[int, Scope | None]:
        """How many of them find a place in every scope, and a scope that had none for the next one."""
        going, full = len(asks), None
        taken: list[tuple[Scope, list[int]]] = []
        for scope in scopes:
            if scope.limit.at_once is None or not going:
                continue
            found = self._lock(connection, scope, asks[:going])
            taken.append((scope, found))
            if len(found) < going:
                going, full = len(found), scope
        for scope, found in taken:
            self._unlock(connection, scope.key, found[going:])
            self._places.setdefault(scope.key, []).extend(found[:going])
        return going, full

    def _lock(self, connection: Any, scope: Scope, asks: Sequence[Ask]) -> list[int]:
        """Places for as many as there are, in the order of those who ask: rows come last, and not to those places that
        are kept for others."""
        most, rows_most = scope.limit.at_once or 0, scope.limit.places(is_row=True) or 0
        calls = sum(not ask.is_row for ask in asks)
        found = self._lock_some(connection, scope.key, range(most), calls)
        if len(found) == calls and calls < len(asks):
            kept = most - rows_most
            found += self._lock_some(connection, scope.key, range(kept, most), len(asks) - calls, found)
        return found

    def _lock_some(
        self, connection: Any, key: str, places: range, count: int, besides: Sequence[int] = ()
    ) -> list[int]:
        mine = {*self._places.get(key, ()), *besides}
        free = [place for place in places if place not in mine]
        if not count or not free:
            return []
        return [place for (place,) in connection.execute(LOCK, (free, _lock_class(key), count))]

    def _unlock(self, connection: Any, key: str, places: Sequence[int]) -> None:
        if places:
            connection.execute(UNLOCK, (_lock_class(key), list(places)))

    def _give_back(self, scopes: Sequence[Scope], ask: Ask, tokens: int | None) -> None:
        for scope in scopes:
            if scope.limit.at_once is not None:
                self._give_place_back(scope.key)
            if (moved := corrected(scope.limit, ask, tokens)) and scope.limit.tokens is not None:
                self._connected().execute(CORRECT, (_micro(moved), scope.key))

    def _give_place_back(self, key: str) -> None:
        if self._bereft[key]:
            self._bereft[key] -= 1
        elif places := self._places.get(key):
            self._unlock(self._connected(), key, [places.pop()])

    def _connected(self) -> Any:
        if self._is_closed:
            raise Unavailable("The store is closed; nothing is counted any more.")
        if self._connection is None or self._connection.closed:
            import psycopg

            self._drop()
            # It is ours from now on: whoever fails drops it.
            connection = self._connection = psycopg.connect(**self._dialect.settings(), autocommit=True)
            # What a crash of the database forgets of this is less than a second old.
            connection.execute("SET synchronous_commit = off")
            connection.execute("SET idle_in_transaction_session_timeout = '30s'")
        return self._connection

    def _drop(self) -> None:
        """Let go of the connection, and with it of every place."""
        for key, places in self._places.items():
            self._bereft[key] += len(places)
        self._places.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()


def _is_counted(scope: Scope) -> bool:
    return scope.limit.requests is not None or scope.limit.tokens is not None


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _lock_class(key: str) -> int:
    """The first of the two numbers of an advisory lock, a signed one of 32 bits."""
    return zlib.crc32(f"rowel.limits {key}".encode()) - 2**31
