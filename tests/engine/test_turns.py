"""Whose turn it is: runs that wait, are poked at odd moments, are spawned past the queue, and are let go."""

import asyncio

import pytest

from rowel.core.errors import Unavailable
from rowel.core.records import Run
from rowel.core.status import RunStatus, RunType
from rowel.engine.dispatch import LocalDispatch
from tests.support.clocks import NOON


class Mover:
    """A run that moves until it is let go, and counts what it is told."""

    def __init__(self, run_id):
        self.run = Run(
            id=run_id,
            workflow_id="workflow",
            version_id="version",
            version=1,
            run_type=RunType.INTERACTIVE,
            status=RunStatus.RUNNING,
            start_time=NOON,
        )
        self.told = []
        self.begun, self.free = asyncio.Event(), asyncio.Event()

    async def drive(self):
        self.begun.set()
        await self.free.wait()
        return self.run

    def poke(self):
        self.told.append("poke")

    def drain(self):
        self.told.append("drain")
        self.free.set()


class World:
    """A dispatch of two slots, the movers that it may take, and what it took."""

    def __init__(self):
        self.movers = {}
        self.taken, self.rested = [], []
        self.may_take, self.may_tell = asyncio.Event(), asyncio.Event()
        self.may_take.set()
        self.may_tell.set()
        self.dispatch = LocalDispatch(self.take, self.tell, slots=2)

    def mover(self, run_id):
        self.movers[run_id] = Mover(run_id)
        return self.movers[run_id]

    async def take(self, run_id):
        self.taken.append(run_id)
        await self.may_take.wait()
        found = self.movers.get(run_id)
        if isinstance(found, Exception):
            raise found
        return found

    async def tell(self, run):
        await self.may_tell.wait()
        self.rested.append(run.id)

    async def settle(self):
        """Let everything that can happen happen."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def world():
    world = World()
    yield world
    for mover in world.movers.values():
        if isinstance(mover, Mover):
            mover.free.set()
    world.may_take.set()
    world.may_tell.set()
    await world.dispatch.close()


async def test_a_spawned_run_moves_at_once_whatever_the_slots(world):
    movers = [world.mover(name) for name in ("one", "two", "child")]
    world.dispatch.submit("one")
    world.dispatch.submit("two")

    world.dispatch.spawn("child")

    await movers[2].begun.wait()


async def test_a_run_that_waits_its_turn_moves_at_once_when_it_is_spawned(world):
    movers = [world.mover(name) for name in ("one", "two", "child", "last")]
    for mover in movers:
        world.dispatch.submit(mover.run.id)
    await world.settle()

    world.dispatch.spawn("child")
    await movers[2].begun.wait()
    movers[0].free.set()
    await movers[3].begun.wait()

    assert world.taken == ["one", "two", "child", "last"]


async def test_spawned_runs_give_back_no_slot(world):
    for name in ("one", "two", "three"):
        world.mover(name)
    child = world.mover("child")
    for name in ("one", "two", "three"):
        world.dispatch.submit(name)
    world.dispatch.spawn("child")
    child.free.set()
    await world.settle()

    assert "three" not in world.taken


async def test_a_poke_for_a_run_that_is_being_taken_reaches_it_when_it_moves(world):
    world.may_take.clear()
    one = world.mover("one")
    world.dispatch.submit("one")
    await world.settle()

    world.dispatch.poke("one")
    world.may_take.set()
    await one.begun.wait()

    assert one.told == ["poke"]


async def test_a_poke_for_a_run_that_had_no_work_a_moment_ago_has_it_taken_again(world):
    world.may_take.clear()
    world.dispatch.submit("one")
    await world.settle()
    world.dispatch.poke("one")

    world.may_take.set()
    await world.settle()

    assert world.taken == ["one", "one"]


async def test_a_poke_while_others_are_told_of_a_runs_rest_is_not_lost(world):
    world.may_tell.clear()
    first = world.mover("one")
    world.dispatch.submit("one")
    await first.begun.wait()
    first.free.set()
    await world.settle()

    again = world.mover("one")
    world.dispatch.poke("one")
    await again.begun.wait()
    world.may_tell.set()
    await world.settle()

    assert first.told == []
    assert world.dispatch.is_live("one")


async def test_who_waits_for_a_run_that_broke_gets_the_error(world, caplog):
    world.movers["one"] = RuntimeError("no such table")
    waiting = world.dispatch.wait("one")
    world.dispatch.submit("one")

    with pytest.raises(RuntimeError, match="no such table"):
        await waiting
    assert "could not be moved" in caplog.text


async def test_runs_that_broke_give_their_slots_back(world, caplog):
    for name in ("one", "two"):
        world.movers[name] = RuntimeError("broken")
    three = world.mover("three")
    for name in ("one", "two", "three"):
        world.dispatch.submit(name)

    await three.begun.wait()


async def test_an_owner_that_cannot_be_told_does_no_harm(world, caplog):
    async def broken(run):
        raise RuntimeError("no such table")

    world.dispatch._rested = broken
    one = world.mover("one")
    world.dispatch.submit("one")
    one.free.set()
    await world.settle()

    assert "could not be told" in caplog.text
    assert not world.dispatch.is_live("one")


async def test_closing_takes_and_spawns_no_more(world):
    one = world.mover("one")
    world.dispatch.submit("one")
    await one.begun.wait()

    await world.dispatch.close()
    world.dispatch.submit("two")
    world.dispatch.spawn("three")
    await world.settle()

    assert one.told == ["drain"]
    assert world.taken == ["one"]


async def test_a_run_that_was_being_taken_when_closing_began_is_drained_too(world):
    world.may_take.clear()
    one = world.mover("one")
    world.dispatch.submit("one")
    await world.settle()
    closing = asyncio.ensure_future(world.dispatch.close())
    await world.settle()

    world.may_take.set()
    await closing

    assert one.told == ["drain"]


async def test_who_waits_for_a_run_whose_turn_never_comes_hears_of_the_closing(world):
    for name in ("one", "two", "three"):
        world.mover(name)
        world.dispatch.submit(name)
    waiting = world.dispatch.wait("three")

    await world.dispatch.close()

    with pytest.raises(Unavailable):
        await waiting
