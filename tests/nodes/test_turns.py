"""Calls wait for their turn: how often, how many at once, and after a provider asked everybody to wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from rowel.core.limits import Limit, Limits, Scope
from rowel.nodes.clients.turns import Turns
from rowel.nodes.context import ANYBODY, Caller
from tests.support.clocks import FakeWatch, settled

MODEL, OTHER = "openai/gpt-4o", "openai/o1"
ROW = Caller(is_row=True)


class Crowd:
    """Calls that begin when their turn comes and go on until the test ends them."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: Names in the order in which their turn came.
        self.went: list[str] = []
        self.asked_s: dict[str, float] = {}

    async def call(self, *names: str, model: str = MODEL, caller: Caller = ANYBODY, tokens: int = 1) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._call(name, model, caller, tokens))
        await settled()

    async def _call(self, name: str, model: str, caller: Caller, tokens: int) -> None:
        async with self.turns.turn(model, tokens, caller) as turn:
            self.went.append(name)
            await self._ends[name].wait()
            turn.asked_s = self.asked_s.get(name)

    async def end(self, *names: str, asked_s: float | None = None) -> None:
        for name in names:
            if asked_s is not None:
                self.asked_s[name] = asked_s
            self._ends[name].set()
        await settled()

    async def cancel(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
        await settled()


@pytest.fixture
def watch():
    return FakeWatch()


@pytest.fixture
async def made(watch):
    """Makes a crowd under the limits that a test asks for."""
    async with AsyncExitStack() as stack:

        def make(**by_pattern: Limit) -> Crowd:
            limits = Limits({pattern.replace("MODEL", MODEL): limit for pattern, limit in by_pattern.items()})
            turns = Turns(limits, now=watch.now, sleep=watch.sleep)
            stack.push_async_callback(turns.close)
            return Crowd(turns)

        yield make


async def test_without_a_limit_nobody_waits(made):
    crowd = made()

    await crowd.call(*map(str, range(300)))

    assert len(crowd.went) == 300


async def test_no_more_go_at_once_than_may_and_each_end_lets_the_next_go(made):
    crowd = made(MODEL=Limit(at_once=2))

    await crowd.call("a", "b", "c", "d")
    assert crowd.went == ["a", "b"]
    await crowd.end("b")
    assert crowd.went == ["a", "b", "c"]


async def test_requests_are_spread_over_the_minute(made, watch):
    crowd = made(MODEL=Limit(requests_per_minute=6))

    await crowd.call("a", "b", "c")
    assert crowd.went == ["a"]
    await watch.advance(9.9)
    assert crowd.went == ["a"]
    await watch.advance(0.2)
    assert crowd.went == ["a", "b"]
    await watch.advance(10)
    assert crowd.went == ["a", "b", "c"]


async def test_calls_of_all_models_of_a_provider_share_its_limit(made):
    crowd = made(**{"openai/*": Limit(at_once=1)})

    await crowd.call("a")
    await crowd.call("b", model=OTHER)
    assert crowd.went == ["a"]
    await crowd.end("a")
    assert crowd.went == ["a", "b"]


async def test_calls_of_a_workflow_share_its_limit_whatever_they_call(made):
    crowd = made()
    caller = Caller(scopes=(Scope("workflow/1", "this workflow", Limit(at_once=1)),))

    await crowd.call("a", caller=caller)
    await crowd.call("b", caller=caller, model=OTHER)
    await crowd.call("c")

    assert crowd.went == ["a", "c"]
    await crowd.end("a")
    assert crowd.went == ["a", "c", "b"]


async def test_an_interactive_call_goes_before_rows_that_have_waited_longer(made):
    crowd = made(MODEL=Limit(at_once=1))

    await crowd.call("first")
    await crowd.call("row-1", "row-2", caller=ROW)
    await crowd.call("call")
    await crowd.end("first")
    await crowd.end("call")

    assert crowd.went == ["first", "call", "row-1"]


async def test_a_row_goes_after_ten_seconds_however_many_calls_wait(made, watch):
    crowd = made(MODEL=Limit(at_once=1))
    await crowd.call("a", "b", "c")
    await crowd.call("row-1", "row-2", caller=ROW)

    await watch.advance(10)
    await crowd.end("a")
    await crowd.end("row-1")

    assert crowd.went == ["a", "row-1", "b"]


async def test_a_row_takes_a_place_that_was_kept_for_others_once_it_is_late(made, watch):
    crowd = made(MODEL=Limit(at_once=10))

    await crowd.call(*[f"row-{number}" for number in range(10)], caller=ROW)
    assert len(crowd.went) == 9
    await watch.advance(10)

    assert len(crowd.went) == 10


async def test_who_is_canceled_while_waiting_leaves_the_line_and_takes_nothing(made):
    crowd = made(MODEL=Limit(at_once=1))
    await crowd.call("a", "b", "c")

    await crowd.cancel("b")
    await crowd.end("a")

    assert crowd.went == ["a", "c"]


async def test_who_is_canceled_while_its_turn_comes_gives_it_back(made):
    crowd = made(MODEL=Limit(at_once=1))
    await crowd.call("a", "b", "c")

    line = next(iter(crowd.turns._rooms.values())).line
    crowd._ends["a"].set()
    while len(line) == 2:  # noqa: ASYNC110  # it is this very moment that is meant
        await asyncio.sleep(0)
    await crowd.cancel("b")

    assert crowd.went == ["a", "c"]


async def test_a_provider_that_asks_one_to_wait_is_left_alone_by_all(made, watch):
    crowd = made()
    await crowd.call("a", "b")

    await crowd.end("a", asked_s=7)
    await crowd.call("c", "d")
    await crowd.call("elsewhere", model=OTHER)
    await watch.advance(6.9)
    assert crowd.went == ["a", "b", "elsewhere"]
    await watch.advance(0.2)

    assert crowd.went[3:] == []
    await crowd.end("b")
    assert crowd.went[3:] == ["c", "d"]


async def test_after_that_one_goes_first_and_the_others_once_it_was_answered(made, watch):
    crowd = made()
    await crowd.call("a")
    await crowd.end("a", asked_s=7)
    await crowd.call("b", "c", "d", "e")

    await watch.advance(7.1)
    assert crowd.went == ["a", "b"]
    await crowd.end("b")
    assert crowd.went == ["a", "b", "c", "d"]
    await crowd.end("c", asked_s=5)
    await crowd.end("d")
    assert crowd.went == ["a", "b", "c", "d"]
    await watch.advance(5.1)
    assert crowd.went == ["a", "b", "c", "d", "e"]


async def test_who_waits_hears_once_for_what(made, watch):
    crowd = made(MODEL=Limit(requests_per_minute=6))
    heard: list[str] = []
    caller = Caller(waits=heard.append, goes_on=lambda: heard.append("on"))

    await crowd.call("a", "b", "c", caller=caller)
    await watch.advance(30)

    assert Counter(heard) == {"openai/gpt-4o: 6 requests a minute": 2, "on": 2}


async def test_tokens_that_were_used_besides_are_waited_for_by_the_next(watch):
    turns = Turns(Limits({MODEL: Limit(tokens_per_minute=6000)}), now=watch.now, sleep=watch.sleep)
    async with turns.turn(MODEL, 10, ANYBODY) as turn:
        turn.tokens = 5410
    crowd = Crowd(turns)

    await crowd.call("a", tokens=600)
    await watch.advance(59)
    assert crowd.went == []
    await watch.advance(2)
    assert crowd.went == ["a"]
    await turns.close()


async def test_what_nobody_calls_any_more_is_forgotten(watch):
    turns = Turns(now=watch.now, sleep=watch.sleep)

    for number in range(50):
        async with turns.turn(f"ollama/{number}", 1, ANYBODY):
            pass

    assert turns._rooms == {}
    assert turns._allowances._states == {}


class Broken:
    """Allowances whose place can't be reached a few times."""

    def __init__(self, times, inner):
        self._left = times
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def take(self, scopes, asks):
        self._left -= 1
        if self._left >= 0:
            raise OSError("gone")
        return await self._inner.take(scopes, asks)


async def test_nobody_goes_uncounted(watch):
    counted = Turns(now=watch.now, sleep=watch.sleep)._allowances
    turns = Turns(None, Broken(2, counted), now=watch.now, sleep=watch.sleep)
    crowd = Crowd(turns)

    await crowd.call("a")
    await watch.advance(1.5)
    assert crowd.went == []
    await watch.advance(1)
    assert crowd.went == ["a"]
    await turns.close()
