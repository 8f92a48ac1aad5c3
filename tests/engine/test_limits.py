"""Nodes that wait for their turn at a model."""

from __future__ import annotations

import asyncio

import pytest

from rowel.core.limits import Limit, Limits
from rowel.core.status import RunStatus, TaskStatus
from rowel.engine import standstill
from rowel.nodes.clients.turns import Turns
from rowel.nodes.context import ANYBODY
from tests.support.clocks import FakeWatch
from tests.support.flows import flow, given, work
from tests.support.house import all_of, rested, save, still, task_at, text_of, upload

MODEL = "openai/gpt-4o"
ASKING = flow("start>ask")
ROWS = flow("start>ask", start=given(n="int"))


@pytest.fixture
def watch():
    return FakeWatch()


@pytest.fixture
async def turns(watch, stage):
    """One call at a time; the node `ask` calls once and gives what it was asked for."""
    made = Turns(Limits({MODEL: Limit(at_once=1)}), now=watch.now, sleep=watch.sleep)

    async def ask(inputs, context):
        async with made.turn(MODEL, 1, context.caller):
            return {"n": inputs["start"].get("n")}

    stage.on("ask", ask)
    yield made
    await made.close()


@pytest.fixture
async def taken(turns):
    """Somebody else calls the model, until the test ends that."""
    turn = turns.turn(MODEL, 1, ANYBODY)
    await turn.__aenter__()
    return turn


async def release(turn):
    await turn.__aexit__(None, None, None)


async def test_a_task_that_waits_for_its_turn_says_for_what(engine, stage, taken, monkeypatch):
    monkeypatch.setattr(standstill, "TELL_AFTER_S", 0.0)
    run = await engine.start(await save(engine, ASKING), None)

    events = engine.events(run.run.id)
    async for event in events:
        if event.kind == "log":
            break
    waiting = task_at(await engine.get_run(run.run.id), "ask")
    await release(taken)
    end = await rested(engine, run.run.id)

    assert event.body["message"] == "Waits for openai/gpt-4o: 1 at once."
    assert (waiting.status, waiting.logs) == (TaskStatus.RUNNING, ("Waits for openai/gpt-4o: 1 at once.",))
    assert end.run.status is RunStatus.COMPLETED
    (waited,) = task_at(end, "ask").logs
    assert waited.startswith("Waited ")
    assert waited.endswith(" s for openai/gpt-4o: 1 at once.")


async def test_a_short_wait_is_not_told(engine, taken):
    run = await engine.start(await save(engine, ASKING), None)
    await release(taken)

    assert task_at(await rested(engine, run.run.id), "ask").logs == ()
    assert [event for event in await all_of(engine.events(run.run.id)) if event.kind == "log"] == []


async def test_a_nodes_time_stands_still_while_it_waits(engine, stage, taken, turns):
    run = await engine.start(await save(engine, flow("start>ask", ask=work(timeout_s=0.05))), None)
    await stage.begun("ask")

    with pytest.raises(TimeoutError):
        await _rests_within(engine, 0.2)
    await release(taken)

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_its_time_goes_on_when_its_turn_has_come(engine, stage, taken, turns):
    async def ask_and_hang(inputs, context):
        async with turns.turn(MODEL, 1, context.caller):
            await asyncio.Event().wait()

    stage.on("ask", ask_and_hang)
    run = await engine.start(await save(engine, flow("start>ask", ask=work(timeout_s=0.05))), None)
    await stage.begun("ask")
    await release(taken)

    end = await rested(engine, run.run.id)

    assert end.run.message == "Node 'ask' failed: took longer than 0.05 s"


async def _rests_within(engine, seconds):
    async with asyncio.timeout(seconds):
        await still(engine)


async def test_a_cancel_interrupts_the_wait_and_takes_nothing(engine, stage, taken, turns):
    run = await engine.start(await save(engine, ASKING), None)
    await stage.begun("ask")

    await engine.cancel(run.run.id)
    await still(engine)
    await release(taken)

    assert (await engine.get_run(run.run.id)).run.status is RunStatus.CANCELED
    assert turns._rooms == {}


async def test_an_interactive_run_goes_before_the_rows_of_a_batch(engine, stage, taken, turns):
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(20)))
    workflow = await save(engine, ROWS)
    batch = await engine.start_batch(workflow, dataset.id, 20)
    await stage.begun("ask", 20)
    order = []

    async def ask(inputs, context):
        async with turns.turn(MODEL, 1, context.caller):
            order.append(context.caller.is_row)
            return {}

    stage.on("ask", ask)
    run = await engine.start(workflow, {"start": {"n": 99}})
    await stage.begun("ask", 21)
    await release(taken)
    await still(engine)

    assert order == [False]
    assert (await engine.get_run(run.run.id)).run.end_time is not None
    end = await engine.get_run(batch.run.id)
    assert end.run.message == "20 of 20 rows completed."
    assert (await text_of(engine, end.run.output_file_id)).count("\n") == 20
