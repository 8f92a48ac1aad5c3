"""Listeners hear what is committed, and know when they have missed something."""

from __future__ import annotations

import asyncio

from rowel.core.records import Event
from rowel.engine.wakeups import BACKLOG, Wakeups


def event(number: int) -> Event:
    return Event(number, "log", {})


async def test_a_listener_of_a_run_hears_that_run_and_no_other() -> None:
    wakeups = Wakeups()
    mine = wakeups.subscribe("a")
    wakeups.publish("a", [event(1)])
    wakeups.publish("b", [event(2)])
    assert mine.take() == [("a", event(1))]


async def test_a_listener_of_all_runs_hears_every_one() -> None:
    wakeups = Wakeups()
    all_of_them = wakeups.subscribe(None)
    wakeups.publish("a", [event(1)])
    wakeups.publish("b", [event(2)])
    assert all_of_them.take() == [("a", event(1)), ("b", event(2))]


async def test_a_listener_that_waits_is_woken() -> None:
    wakeups = Wakeups()
    mine = wakeups.subscribe("a")
    waiting = asyncio.ensure_future(mine.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    wakeups.publish("a", [event(1)])
    await asyncio.wait_for(waiting, 5)
    assert len(mine.take()) == 1
    assert mine.take() == []


async def test_a_listener_that_has_gone_hears_nothing() -> None:
    wakeups = Wakeups()
    mine = wakeups.subscribe("a")
    wakeups.unsubscribe("a", mine)
    wakeups.publish("a", [event(1)])
    assert mine.take() == []
    wakeups.unsubscribe("a", mine)


async def test_a_slow_listener_keeps_the_newest_and_knows_of_the_gap() -> None:
    wakeups = Wakeups()
    slow = wakeups.subscribe("a")
    assert not slow.has_gap
    for number in range(BACKLOG + 5):
        wakeups.publish("a", [event(number)])
    assert slow.has_gap
    kept = slow.take()
    assert len(kept) == BACKLOG
    assert kept[-1] == ("a", event(BACKLOG + 4))
