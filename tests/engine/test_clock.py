"""The machine's clock jumps an hour, forth and back."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

import rowel.engine.clock
from rowel.core.errors import NodeFailed
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.clock import SystemClock
from rowel.engine.upkeep import Upkeep
from rowel.store.runs import Filter
from tests.support.fake_nodes import once
from tests.support.flows import flow, human, loop, work
from tests.support.house import House, all_of, reaches, rested, save, upload

HOUR_S = 3600.0


class JumpingClock(SystemClock):
    """The machine's clock, as if somebody had set it."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return super().now() + self.ahead

    def jump(self, seconds):
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def jumping():
    return JumpingClock()


@pytest.fixture
async def moving(tmp_path, stage, jumping, monkeypatch):
    """A house whose time goes on by itself, and whose clock is looked at often."""
    monkeypatch.setattr(rowel.engine.clock, "LOOK_EACH_S", 0.01)
    house = House(tmp_path / "moving", stage, jumping)
    yield house
    await house.close()


def times_of(view):
    """Every time that was noted of a run, from its start to its end."""
    noted = [time for task in view.tasks for time in (task.start_time, task.end_time) if time is not None]
    return [view.run.start_time, *sorted(noted), view.run.end_time]


def lasts(thing):
    return (thing.end_time - (thing.start_time or thing.end_time)).total_seconds()


async def test_a_wait_ends_when_the_clock_is_set_forward(jumping, monkeypatch):
    monkeypatch.setattr(rowel.engine.clock, "LOOK_EACH_S", 0.01)
    waiting = asyncio.ensure_future(jumping.sleep_until(jumping.now() + timedelta(seconds=0.9 * HOUR_S)))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    jumping.jump(HOUR_S)

    await asyncio.wait_for(waiting, 20)


async def test_a_wait_takes_no_longer_when_the_clock_is_set_back(jumping):
    moment = jumping.now() + timedelta(seconds=0.2)
    waiting = asyncio.ensure_future(jumping.sleep_until(moment))
    await asyncio.sleep(0)

    jumping.jump(-HOUR_S)

    await asyncio.wait_for(waiting, 20)
    assert jumping.now() < moment


async def test_a_wait_for_what_has_been_is_none():
    await asyncio.wait_for(SystemClock().sleep_until(datetime(2000, 1, 1, tzinfo=UTC)), 20)


async def test_nothing_of_a_run_goes_back_whatever_the_clock_does(house, stage, clock):
    engine = await house.open()
    body = flow("start>b b>end")
    nodes = ["a", "b", "c", "d"]
    stage.hold(*nodes)
    run = await engine.start(
        await save(engine, flow("start>a a>loop loop>c c>d d>end", loop=loop(body, 1))), None
    )
    shares = []
    for node, seconds in zip(nodes, (HOUR_S, -2 * HOUR_S, HOUR_S, -HOUR_S), strict=True):
        await stage.begun(node)
        shares.append((await engine.get_run(run.run.id)).percentage_complete)
        await clock.advance(seconds)
        stage.let_go(node)

    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert times_of(view) == sorted(times_of(view))
    assert all(lasts(one) >= 0 for one in (view.run, *view.tasks))
    assert shares == sorted(shares)
    numbers = [event.number for event in await all_of(engine.events(run.run.id))]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_nor_over_a_restart(house, stage, clock):
    stage.hold("a", "b")
    engine = await house.open()
    run = await engine.start(await save(engine, flow("start>a a>b b>end")), None)
    await stage.begun("a")
    await clock.advance(HOUR_S / 2)
    stage.let_go("a")
    await stage.begun("b")
    await clock.advance(-HOUR_S)
    engine = await house.restart(engine)
    await stage.begun("b", times=2)
    stage.let_go("b")

    view = await rested(engine, run.run.id)

    assert times_of(view) == sorted(times_of(view))


@pytest.mark.parametrize("ends", ["canceled", "declined", "given up"])
async def test_no_end_comes_before_its_beginning(house, stage, clock, ends):
    engine = await house.open(Upkeep(recoveries=1))
    stage.hold("a")
    run = await engine.start(await save(engine, flow("start>ask start>a a>end", ask=human())), None)
    await stage.begun("a")
    await clock.advance(-HOUR_S)
    if ends == "canceled":
        await engine.cancel(run.run.id)
    elif ends == "declined":
        await engine.decide(run.run.id, PauseAction.DECLINE, {}, "ann", None)
        stage.let_go("a")
    else:
        for times in (2, 3):
            engine = await house.restart(engine)
            if times == 2:
                await stage.begun("a", times=times)

    view = await rested(engine, run.run.id)

    assert view.run.status.is_final
    assert all(lasts(one) >= 0 for one in (view.run, *view.tasks) if one.end_time is not None)
    (pause,) = await engine.pause_history(run.run.id)
    assert pause.resume_time is None or pause.resume_time >= pause.pause_time


async def test_a_batch_during_which_the_clock_is_set_back_ends_after_it_began(house, stage, clock):
    engine = await house.open()
    stage.hold("a")
    dataset = await upload(engine, "n\n1\n2\n3\n")
    batch = await engine.start_batch(await save(engine, flow("start>a a>end")), dataset.id, 2)
    await stage.begun("a", times=2)
    await clock.advance(-HOUR_S)
    stage.let_go("a")

    view = await rested(engine, batch.run.id)

    assert lasts(view.run) >= 0
    file = await engine.get_output_file(view.run.output_file_id)
    assert file.updated_at >= file.created_at
    for row in await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10):
        assert lasts(row.run) >= 0


async def test_a_clock_set_back_keeps_no_retry_waiting(moving, stage, jumping):
    engine = await moving.open()
    stage.on("a", once(NodeFailed("broken"), then={}))
    definition = flow("start>a a>end", a=work(retry={"attempts": 2, "backoff_s": 0.2}))
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("a")
    jumping.jump(-HOUR_S)

    view = await reaches(engine, run.run.id, RunStatus.COMPLETED)

    assert lasts(view.run) >= 0


async def test_a_clock_set_forward_ends_what_waits_for_its_moment(moving, stage, jumping):
    engine = await moving.open(Upkeep(pauses_each=0.01))
    stage.on("a", once(NodeFailed("broken"), then={}))
    tried = flow("start>a a>end", a=work(retry={"attempts": 2, "backoff_s": 0.9 * HOUR_S}))
    asked = flow("start>ask", ask=human(timeout_s=0.9 * HOUR_S, on_timeout="approve"))
    waits = [await engine.start(await save(engine, definition), None) for definition in (tried, asked)]
    await reaches(engine, waits[1].run.id, RunStatus.PAUSED)
    await stage.begun("a")
    jumping.jump(HOUR_S)

    for run in waits:
        await reaches(engine, run.run.id, RunStatus.COMPLETED)


async def test_pages_of_a_list_skip_and_repeat_nothing_though_the_clock_was_set_back(house, clock):
    engine = await house.open()
    workflow_id = await save(engine, flow("start>end"))
    ids = []
    for seconds in (0, 60, -HOUR_S, 60, HOUR_S, -HOUR_S, 0, 0):
        await clock.advance(seconds)
        ids.append((await engine.run(workflow_id, None)).run.id)

    found, before = [], None
    while page := await engine.list_runs(Filter(workflow_id=workflow_id, before=before), limit=3):
        found += [view.run for view in page]
        before = (found[-1].start_time, found[-1].id)
        await clock.advance(-60)

    assert sorted(run.id for run in found) == sorted(ids)
    places = [(run.start_time, run.id) for run in found]
    assert all(one > other for one, other in pairwise(places))
