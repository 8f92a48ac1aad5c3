"""Opening an engine, and letting it end in good order."""

import asyncio
import os

import pytest

from rowel.core.errors import Conflict, NodeFailed, Unavailable
from rowel.core.status import RunStatus, TaskStatus
from rowel.engine.upkeep import Upkeep
from rowel.store.runs import Filter
from tests.support.fake_nodes import once
from tests.support.flows import child, flow, loop, work
from tests.support.house import rested, save, statuses, still, task_at, upload

CHAIN = flow("start>a a>b b>end", b=work(on_interrupt="fail"))


async def closing_in_the_middle_of(house, stage, engine, node="a"):
    """Begin to close; when this returns the engine waits for this node only."""
    dispatch, begun = engine._house.dispatch, asyncio.Event()
    close = dispatch.close

    async def note_and_close(**how):
        begun.set()
        await close(**how)

    dispatch.close = note_and_close
    closing = asyncio.ensure_future(house.shut(engine))
    await begun.wait()
    return closing


async def test_a_second_engine_on_the_directory_is_refused_and_told_who_has_it(house):
    first = await house.open()

    with pytest.raises(Conflict) as caught:
        await house.open()

    assert str(os.getpid()) in caught.value.message
    assert str(house.data) in caught.value.message
    await first.create_workflow("still works", flow("start>end"))


async def test_the_refusal_names_the_holders_address(house):
    engine = await house.open()
    engine._lock.release()
    engine._lock.acquire("http://127.0.0.1:6080")

    with pytest.raises(Conflict, match=r"http://127\.0\.0\.1:6080"):
        await house.open()


async def test_once_the_first_has_closed_the_next_may_open(house):
    await house.shut(await house.open())

    engine = await house.open()

    assert (await engine.run(await save(engine, flow("start>end")), None)).run.status is RunStatus.COMPLETED


async def test_an_engine_makes_its_directory_and_its_tables(tmp_path, stage, clock, house):
    house.data = tmp_path / "new" / "place"

    engine = await house.open()

    assert (await engine.run(await save(engine, flow("start>end")), None)).run.status is RunStatus.COMPLETED


async def test_what_was_kept_is_there_after_closing(house):
    engine = await house.open()
    view = await engine.run(await save(engine, flow("start>end")), {"start": {"x": 1}})
    await house.shut(engine)

    engine = await house.open()

    kept = await engine.get_run(view.run.id)
    assert (kept.run, list(kept.tasks), kept.version) == (view.run, list(view.tasks), view.version)


async def test_closing_lets_a_running_node_end_and_starts_no_other(house, stage):
    engine = await house.open()
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")
    await closing

    assert stage.interrupted == []
    assert (stage.count("a"), stage.count("b")) == (1, 0)
    engine = await house.open()
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert (stage.count("a"), stage.count("b")) == (1, 1)


async def test_a_run_that_needs_only_pure_nodes_any_more_ends_before_the_engine_does(house, stage):
    engine = await house.open()
    stage.hold("a")
    run = await engine.start(await save(engine, flow("start>a a>end")), None)
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")
    await closing

    engine = await house.open()
    view = await engine.get_run(run.run.id)
    assert view.run.status is RunStatus.COMPLETED
    assert view.run.epoch == 1


async def test_a_node_that_takes_longer_than_the_grace_is_interrupted_and_runs_again(house, stage):
    engine = await house.open(Upkeep(grace=0.05))
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    await house.shut(engine)
    assert stage.interrupted == [f"{run.run.id}.a"]

    engine = await house.open()
    await stage.begun("a", times=2)
    stage.let_go("a")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_closing_does_not_wait_for_a_retrys_time(house, stage, clock):
    stage.on("a", once(NodeFailed("broken"), then={}))
    engine = await house.open(Upkeep(grace=3600))
    definition = flow("start>a", a=work(retry={"attempts": 2, "backoff_s": 1000}))
    run = await engine.start(await save(engine, definition), None)
    await clock.sleeper()

    async with asyncio.timeout(20):
        await house.shut(engine)

    engine = await house.open()
    await clock.sleeper()
    await clock.advance(1000)
    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_closing_leaves_a_run_that_waits_for_its_child_and_the_child_goes_on_later(house, stage):
    engine = await house.open()
    stage.hold("a")
    part = await save(engine, CHAIN, "part")
    run = await engine.start(await save(engine, flow("start>sub", sub=child(part))), None)
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")
    await closing

    engine = await house.open()

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED
    assert (stage.count("a"), stage.count("b")) == (1, 1)


async def test_closing_lets_the_rows_of_a_batch_end_and_begins_no_more(house, stage):
    engine = await house.open()
    stage.hold("a")
    dataset = await upload(engine, "n\n" + "1\n" * 10)
    batch = await engine.start_batch(await save(engine, flow("start>a a>end")), dataset.id, 3)
    await stage.begun("a", times=3)
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")
    await closing
    assert stage.count("a") == 3

    engine = await house.open()
    end = await rested(engine, batch.run.id)

    assert end.batch.completed == 10
    assert set(stage.counts.values()) == {1}


async def test_a_loop_is_left_between_two_of_its_nodes(house, stage):
    engine = await house.open()
    stage.hold("a")
    body = flow("start>a a>b b>end", b=work(on_interrupt="fail"))
    run = await engine.start(await save(engine, flow("start>loop", loop=loop(body, 2))), None)
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")
    await closing

    engine = await house.open()
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert (stage.count("a"), stage.count("b")) == (2, 2)


async def test_a_closing_engine_accepts_no_more_runs(house, stage):
    engine = await house.open()
    stage.hold("a")
    workflow_id = await save(engine, CHAIN)
    dataset = await upload(engine, "n\n1\n")
    await engine.start(workflow_id, None)
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)

    for begin in (engine.start(workflow_id, None), engine.run(workflow_id, None)):
        with pytest.raises(Unavailable):
            await begin
    with pytest.raises(Unavailable):
        await engine.start_batch(workflow_id, dataset.id)
    assert len(await engine.list_runs(Filter(workflow_id=workflow_id), limit=10)) == 1
    stage.let_go("a")
    await closing


async def test_who_waits_for_a_run_when_the_engine_closes_is_told_where_it_stands(house, stage):
    engine = await house.open()
    stage.hold("a")
    waiting = asyncio.ensure_future(engine.run(await save(engine, CHAIN), None))
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")

    view = await waiting
    await closing

    assert view.run.status is RunStatus.RUNNING
    assert statuses(view)["a"] is TaskStatus.COMPLETED


async def test_closing_an_idle_engine_twice_does_no_harm(house):
    engine = await house.open()
    await house.shut(engine)

    await engine.close()


async def test_queued_runs_wait_for_the_next_engine(house, stage):
    engine = await house.open(slots=1)
    workflow_id = await save(engine, flow("start>a"))
    stage.hold("a")
    runs = [await engine.start(workflow_id, None) for _ in range(3)]
    await stage.begun("a")
    closing = await closing_in_the_middle_of(house, stage, engine)
    stage.let_go("a")
    await closing
    assert stage.count("a") == 1

    engine = await house.open(slots=1)
    await still(engine)

    assert {(await engine.get_run(run.run.id)).run.status for run in runs} == {RunStatus.COMPLETED}
    assert task_at(await engine.get_run(runs[2].run.id), "a").attempt == 1
