"""Where calls of models wait for their turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rowel.core.limits import Ask, Limits, Scope, Wait
from rowel.core.turns import Line
from rowel.nodes.clients.allowances import Allowances, LocalAllowances
from rowel.nodes.context import Caller

log = logging.getLogger(__name__)

#: Calls that are let go together at most.
TOGETHER = 100
#: Seconds between looks, where what is counted can't be reached.
AGAIN_AFTER_S = 1.0


@dataclass(eq=False)
class Turn:
    """One call under way."""

    #: What it used; None: that is not known.
    tokens: int | None = None
    #: Seconds that the provider asked everybody to wait.
    asked_s: float | None = None


@dataclass(eq=False)
class _Waiting:
    ask: Ask
    caller: Caller
    called: asyncio.Future[None]
    is_told: bool = False


@dataclass(eq=False)
class _Room:
    """Those who share the same limits."""

    scopes: Sequence[Scope]
    line: Line[_Waiting] = field(default_factory=Line)
    #: Those who have not been told what they wait for.
    untold: dict[_Waiting, None] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Task[None] | None = None


class Turns:
    """Lets calls go as their limits allow: interactive ones first, rows of batches with what these leave."""

    def __init__(
        self,
        limits: Limits | None = None,
        allowances: Allowances | None = None,
        *,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Without `allowances` they are counted here. `now` is in seconds, by the clock that `sleep` follows."""
        self._limits = limits or Limits()
        self._now = now or loop_time
        self._allowances = allowances or LocalAllowances(self._now)
        self._sleep = sleep
        self._rooms: dict[tuple[str, ...], _Room] = {}

    @asynccontextmanager
    async def turn(self, model: str, tokens: int, caller: Caller) -> AsyncIterator[Turn]:
        """Wait until `provider/model` may be called with about so many tokens, and count the call as under way.

        Who calls hears through `caller` what it waits for.
        """
        async with self.turn_of([*self._limits.scopes_of(model), *caller.scopes], tokens, caller) as turn:
            yield turn

    @asynccontextmanager
    async def turn_of(self, scopes: Sequence[Scope], tokens: int, caller: Caller) -> AsyncIterator[Turn]:
        """The same for whatever shares these scopes."""
        room = self._rooms.setdefault(tuple(scope.key for scope in scopes), _Room(scopes))
        room.scopes = scopes
        ask = Ask(tokens, caller.is_row)
        await self._wait(room, _Waiting(ask, caller, asyncio.get_running_loop().create_future()))
        turn = Turn()
        try:
            yield turn
        finally:
            self._end(room, ask, turn)

    async def close(self) -> None:
        """Let nobody go any more."""
        servers = [room.server for room in self._rooms.values() if room.server is not None]
        for server in servers:
            server.cancel()
        await asyncio.gather(*servers, return_exceptions=True)
        await self._allowances.close()

    async def _wait(self, room: _Room, waiting: _Waiting) -> None:
        room.line.join(waiting, self._now(), is_row=waiting.ask.is_row)
        room.untold[waiting] = None
        room.news.set()
        if room.server is None or room.server.done():
            room.server = asyncio.create_task(self._serve(room))
        try:
            await waiting.called
        except asyncio.CancelledError:
            self._leave(room, waiting)
            if not waiting.called.cancelled():
                self._end(room, waiting.ask, Turn(tokens=0))
            self._forget(room)
            raise
        finally:
            if waiting.is_told:
                waiting.caller.goes_on()

    def _leave(self, room: _Room, waiting: _Waiting) -> None:
        room.line.leave(waiting)
        room.untold.pop(waiting, None)
        room.news.set()

    def _end(self, room: _Room, ask: Ask, turn: Turn) -> None:
        room.line.end(is_answered=turn.asked_s is None)
        self._allowances.give_back(room.scopes, ask, turn.tokens)
        if turn.asked_s is not None:
            self._allowances.hold(room.scopes[0], turn.asked_s)
            for other in self._rooms.values():
                if other.scopes[0].key == room.scopes[0].key:
                    other.line.hold()
        self._forget(room)
        # What is free now may be wanted by those who call other models of the same provider.
        for other in self._rooms.values():
            other.news.set()

    def _forget(self, room: _Room) -> None:
        key = tuple(scope.key for scope in room.scopes)
        if room.line.is_idle and self._rooms.get(key) is room:
            del self._rooms[key]

    async def _serve(self, room: _Room) -> None:
        """Let them go until nobody waits here."""
        while room.line:
            room.news.clear()
            wait = await self._let_go(room)
            if room.line and (wait is not None or room.line.is_narrow):
                self._tell(room, wait)
                await self._wait_for_news(room, wait)

    async def _let_go(self, room: _Room) -> Wait | None:
        """Let those go who may; return what the next one waits for."""
        first = room.line.first(TOGETHER, self._now())
        asks = [Ask(waiting.ask.tokens, is_row) for waiting, is_row in first]
        try:
            taken = await self._allowances.take(room.scopes, asks)
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may go uncounted
            log.warning("the calls of %s can't be counted, and wait: %s", room.scopes[0].name, error)
            return Wait(self._now() + AGAIN_AFTER_S, "the database, which counts the calls, does not answer")
        for waiting, _ in first[: taken.going]:
            room.untold.pop(waiting, None)
            room.line.go(waiting, self._now())
            if waiting.called.done():
                self._end(room, waiting.ask, Turn(tokens=0))
            else:
                waiting.called.set_result(None)
        if taken.wait is not None and taken.wait.is_hold:
            room.line.hold()
        return taken.wait

    def _tell(self, room: _Room, wait: Wait | None) -> None:
        name = room.scopes[0].name
        why = wait.why if wait is not None else f"{name}: the provider has just asked to wait"
        untold, room.untold = room.untold, {}
        for waiting in untold:
            if not waiting.called.done():
                waiting.is_told = True
                waiting.caller.waits(why)

    async def _wait_for_news(self, room: _Room, wait: Wait | None) -> None:
        """Until somebody came or left, or the time has come to look again."""
        until = None if wait is None else wait.until
        late_at = room.line.row_is_late_at()
        times = [time for time in (until, late_at) if time is not None and time > self._now()]
        news = asyncio.ensure_future(room.news.wait())
        waits: list[asyncio.Future[Any]] = [news]
        if times:
            waits.append(asyncio.ensure_future(self._sleep(min(times) - self._now())))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()


def loop_time() -> float:
    """Seconds by the clock of the event loop."""
    return asyncio.get_running_loop().time()
