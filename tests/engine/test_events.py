"""What listeners hear of a run."""

import asyncio
import json

import pytest

import rowel.engine.wakeups
from rowel.core.errors import NodeFailed, NotFound
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.wakeups import FEW
from tests.support.flows import flow, human, loop, static, work
from tests.support.house import PATIENCE_S, all_of, rested, save, started_and_rested, still

CHAIN = flow("start>a a>b b>end")


def told(events, kind="task"):
    return [(event.body["node_id"], event.body["status"]) for event in events if event.kind == kind]


async def test_a_runs_events_are_numbered_without_gaps_and_end_with_it(engine):
    view = await started_and_rested(engine, CHAIN)

    events = await all_of(engine.events(view.run.id))

    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert (events[0].kind, events[0].body["status"]) == ("run", "PENDING")
    assert (events[-1].kind, events[-1].body["status"]) == ("run", "COMPLETED")


async def test_every_change_of_a_task_is_told_in_order(engine):
    view = await started_and_rested(engine, flow("start>a a>end"))

    assert told(await all_of(engine.events(view.run.id))) == [
        ("start", "COMPLETED"),
        ("a", "RUNNING"),
        ("a", "COMPLETED"),
        ("end", "COMPLETED"),
    ]


async def test_live_events_are_the_stored_ones(engine, stage):
    stage.hold("b")
    run = await engine.start(await save(engine, CHAIN), None)
    listening = asyncio.ensure_future(all_of(engine.events(run.run.id)))
    await stage.begun("b")
    stage.let_go("b")

    live = await listening

    assert live == await all_of(engine.events(run.run.id))


async def test_who_comes_back_gets_exactly_what_was_missed(engine):
    view = await started_and_rested(engine, CHAIN)
    events = await all_of(engine.events(view.run.id))

    for number in range(len(events) + 1):
        assert await all_of(engine.events(view.run.id, after=number)) == events[number:]


async def test_who_comes_back_while_the_run_goes_on_misses_nothing(engine, stage):
    stage.hold("a", "b")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    seen = []
    async for event in engine.events(run.run.id):
        seen.append(event)
        if event.kind == "task" and event.body["node_id"] == "a":
            break
    stage.let_go("a")
    await stage.begun("b")

    listening = asyncio.ensure_future(all_of(engine.events(run.run.id, after=seen[-1].number)))
    stage.let_go("b")

    seen += await listening
    assert seen == await all_of(engine.events(run.run.id))


async def test_events_go_on_with_their_numbers_after_a_crash(house, stage):
    engine = await house.open()
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    before = []
    async for event in engine.events(run.run.id):
        before.append(event)
        if told([event]) == [("a", "RUNNING")]:
            break

    engine = await house.restart(engine)
    await stage.begun("a", times=2)
    stage.let_go("a")
    after = await all_of(engine.events(run.run.id, after=before[-1].number))

    assert [event.number for event in before + after] == list(range(1, len(before + after) + 1))
    assert after[-1].body["status"] == "COMPLETED"


@pytest.mark.parametrize("backlog", [1, 3])
async def test_a_listener_too_slow_for_live_events_reads_them_from_the_store(
    engine, stage, monkeypatch, backlog
):
    monkeypatch.setattr(rowel.engine.wakeups, "BACKLOG", backlog)
    stage.hold("a")
    body = flow("start>one one>two two>three three>end", one=static(x=1), two=static(x=1), three=static(x=1))
    definition = flow("start>a a>loop loop>b b>c", loop=loop(body, 5))
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("a")
    seen, is_live = [], asyncio.Event()

    async def listen():
        async for event in engine.events(run.run.id):
            seen.append(event)
            if told([event]) == [("a", "RUNNING")]:
                is_live.set()

    listening = asyncio.ensure_future(listen())
    await is_live.wait()
    await engine.get_run(run.run.id)  # by then the listener waits for what comes next
    stage.let_go("a")
    async with asyncio.timeout(PATIENCE_S):
        await listening

    assert seen == await all_of(engine.events(run.run.id))
    assert [event.number for event in seen] == list(range(1, len(seen) + 1))
    assert len(seen) > 30


async def test_many_listeners_hear_the_same(engine, stage):
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    listening = [asyncio.ensure_future(all_of(engine.events(run.run.id))) for _ in range(20)]
    await stage.begun("a")
    stage.let_go("a")

    heard = await asyncio.gather(*listening)

    assert all(events == heard[0] for events in heard)


async def test_the_store_is_asked_no_more_often_for_many_listeners_than_for_one(engine, stage, monkeypatch):
    database = engine._house.database
    read = database.read
    asked = []
    is_live = asyncio.Event()

    async def counted(query):
        found = await read(query)
        asked.append(query)
        if len(asked) == 2:
            is_live.set()
        return found

    workflow_id = await save(engine, CHAIN)
    counts = []
    for listeners in (1, FEW, 3 * FEW):
        stage.hold("a")
        run = await engine.start(workflow_id, None)
        await stage.begun("a", times=len(counts) + 1)
        monkeypatch.setattr(database, "read", counted)
        asked.clear()
        is_live.clear()
        listening = [asyncio.ensure_future(all_of(engine.events(run.run.id))) for _ in range(listeners)]
        await is_live.wait()
        stage.let_go("a")
        heard = await asyncio.gather(*listening)
        monkeypatch.setattr(database, "read", read)
        counts.append(len(asked))
        assert heard == [await all_of(engine.events(run.run.id))] * listeners

    assert counts == [2, 2, 2]


async def test_a_listener_that_is_ended_hears_nothing_more(engine, stage):
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    listening = engine.listen(run.run.id, silence_s=0.001)
    heard = []

    async for group in listening.groups():
        heard += group
        if not group:
            listening.end()

    assert told(heard)[-1] == ("a", "RUNNING")
    stage.let_go("a")


async def test_the_events_of_an_unknown_run_are_not_found(engine):
    with pytest.raises(NotFound):
        await anext(engine.events("made-up"))


async def test_a_listener_that_leaves_is_forgotten(engine, stage):
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")
    events = engine.events(run.run.id)
    await anext(events)

    await events.aclose()

    assert engine._house.wakeups._of_run == {}
    stage.let_go("a")


async def test_pauses_and_their_answers_are_told(engine):
    run = await engine.run(await save(engine, flow("start>ask ask>a", ask=human(message="Well?"))), None)
    await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ann", None)
    await still(engine)

    events = await all_of(engine.events(run.run.id))

    opened, answered = [event.body for event in events if event.kind == "pause"]
    assert (opened["node_id"], opened["message"], opened["is_open"]) == ("ask", "Well?", True)
    assert (answered["is_open"], answered["action"], answered["user_id"]) == (False, "APPROVE", "ann")
    assert opened["pause_id"] == answered["pause_id"]
    assert [event.body["status"] for event in events if event.kind == "run"] == [
        "RUNNING",
        "PAUSED",
        "RUNNING",
        "COMPLETED",
    ]


async def test_listening_goes_on_over_a_pause(engine):
    run = await engine.run(await save(engine, flow("start>ask ask>a", ask=human())), None)
    listening = asyncio.ensure_future(all_of(engine.events(run.run.id)))
    await asyncio.sleep(0)

    await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ann", None)

    assert (await listening)[-1].body["status"] == "COMPLETED"


async def test_failures_and_attempts_are_told(engine, stage):
    stage.on("a", NodeFailed("broken"))
    view = await started_and_rested(
        engine, flow("start>a a>b", a=work(retry={"attempts": 2, "backoff_s": 0}))
    )

    events = await all_of(engine.events(view.run.id))

    last = [event.body for event in events if event.kind == "task" and event.body["node_id"] == "a"][-1]
    assert (last["status"], last["attempt"], last["error"]) == ("FAILED", 2, "broken")
    assert ("b", "CANCELED") in told(events)
    assert events[-1].body["message"] == "Node 'a' failed: broken"


async def test_what_a_node_logs_is_told_with_its_task(engine, stage):
    def act(inputs, context):
        context.log("one")
        context.log("two")
        return {}

    stage.on("a", act)
    view = await started_and_rested(engine, flow("start>a"))

    logs = [event.body for event in await all_of(engine.events(view.run.id)) if event.kind == "log"]

    assert [(log["node_id"], log["message"]) for log in logs] == [("a", "one"), ("a", "two")]


async def test_tasks_in_loops_name_the_task_they_belong_to(engine):
    view = await started_and_rested(engine, flow("start>loop", loop=loop(flow("start>a a>end"), 2)))

    events = await all_of(engine.events(view.run.id))

    assert {
        (event.body["task_id"], event.body["parent_task_id"])
        for event in events
        if event.kind == "task" and event.body["node_id"] == "a"
    } == {(f"{view.run.id}.loop.{n}.a", f"{view.run.id}.loop") for n in (0, 1)}


async def test_nothing_is_told_that_is_not_committed(engine, stage):
    stage.hold("b")
    run = await engine.start(await save(engine, CHAIN), None)

    async for event in engine.events(run.run.id):
        if event.kind == "task" and event.body["status"] == "COMPLETED":
            view = await engine.get_run(run.run.id)
            (task,) = (task for task in view.tasks if task.id == event.body["task_id"])
            assert task.status == "COMPLETED"
        if told([event]) == [("b", "RUNNING")]:
            stage.let_go("b")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_events_of_all_runs_come_live_with_the_runs_ids(engine):
    workflow_id = await save(engine, CHAIN)
    old = await engine.run(workflow_id, None)
    heard = []

    async def listen():
        async for run_id, event in engine.all_events():
            heard.append((run_id, event))
            if (
                sum(event.body.get("status") == "COMPLETED" and event.kind == "run" for _, event in heard)
                == 2
            ):
                return

    listening = asyncio.ensure_future(listen())
    await asyncio.sleep(0)
    first, second = [await engine.run(workflow_id, None) for _ in range(2)]
    async with asyncio.timeout(PATIENCE_S):
        await listening

    assert {run_id for run_id, _ in heard} == {first.run.id, second.run.id}
    assert old.run.id not in {run_id for run_id, _ in heard}
    for run in (first, second):
        stored = await all_of(engine.events(run.run.id))
        assert [event for run_id, event in heard if run_id == run.run.id] == stored


async def test_bodies_are_plain_json(engine):
    view = await started_and_rested(engine, flow("start>ask ask>a", ask=human()))
    await engine.cancel(view.run.id)

    for event in await all_of(engine.events(view.run.id)):
        assert json.loads(json.dumps(event.body)) == event.body
