"""Listeners hear what is committed, and know when they have missed something."""

from __future__ import annotations

import asyncio

from rowel.core.records import Event
from rowel.engine.wakeups import BACKLOG, FEW, Wakeups


def event(number: int) -> Event:
    return Event(number, "log", {})


async def test_a_listener_of_a_run_hears_that_run_and_no_other() -> None:
    wakeups = Wakeups()
    mine = wakeups.subscribe("a")
    wakeups.publish("a", [event(1)])
    wakeups.publish("b", [event(2)])
    assert mine.take() == [("a", (event(1),))]


async def test_a_listener_of_all_runs_hears_every_one() -> None:
    wakeups = Wakeups()
    all_of_them = wakeups.subscribe(None)
    wakeups.publish("a", [event(1)])
    wakeups.publish("b", [event(2)])
    assert all_of_them.take() == [("a", [event(1)]), ("b", [event(2)])]


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
    assert kept[-1] == ("a", (event(BACKLOG + 4),))


async def test_many_listeners_of_one_run_hear_what_happens_within_a_moment_as_one_group() -> None:
    wakeups = Wakeups()
    many = [wakeups.subscribe("a") for _ in range(FEW + 1)]
    wakeups.publish("a", [event(1)])
    wakeups.publish("a", [event(2), event(3)])
    assert many[0].take() == []
    assert await asyncio.wait_for(many[0].wait(), 5)
    told = [listener.take() for listener in many]
    assert told == [[("a", (event(1), event(2), event(3)))]] * len(many)
    assert len({id(group) for [(_, group)] in told}) == 1


async def test_a_listener_that_waits_in_silence_is_told_and_goes_on() -> None:
    wakeups = Wakeups()
    mine = wakeups.subscribe("a")
    assert not await mine.wait(0.001)
    wakeups.publish("a", [])
    assert await mine.wait(5)
    mine.take()
    mine.end()
    assert not await mine.wait()


async def test_one_look_answers_all_who_ask_the_same_until_something_new_is_told() -> None:
    wakeups = Wakeups()
    looks: list[asyncio.Future[int]] = []

    async def look() -> int:
        looks.append(asyncio.get_running_loop().create_future())
        return await looks[-1]

    async def ask(*questions: str) -> list[asyncio.Future[int]]:
        asked = [asyncio.ensure_future(wakeups.share(question, look)) for question in questions]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return asked

    first = await ask("x", "x", "y")
    assert len(looks) == 2
    wakeups.publish("a", [])
    later = await ask("x")
    assert len(looks) == 3
    first[0].cancel()
    for number, pending in enumerate(looks):
        pending.set_result(number)
    assert await asyncio.gather(*first[1:], *later) == [0, 1, 2]
    assert await asyncio.wait_for(asyncio.gather(*await ask("x"), _set_soon(looks)), 5) == [3, None]


async def _set_soon(looks: list[asyncio.Future[int]]) -> None:
    looks[-1].set_result(len(looks) - 1)
