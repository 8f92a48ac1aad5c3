"""The same engine on Postgres: what its guards, locks and pipelines must not change."""

import asyncio
import json
from itertools import count

import pytest

from rowel.core.errors import Conflict, NodeFailed
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.reruns import Order
from rowel.store.runs import Filter
from tests.support.fake_nodes import once
from tests.support.flows import child, flow, given, human, loop, merge, output, router
from tests.support.house import Fuse, all_of, rested, save, statuses, still, task_at, text_of, upload

APPROVE = PauseAction.APPROVE
BODY = flow("start>add add>end", end=output(count="add.count"))


@pytest.fixture
def house(postgres_house, stage):
    stage.on("add", lambda inputs, context: {"count": inputs["start"]["count"] + 1})
    return postgres_house


async def test_a_run_with_branches_a_loop_and_a_pause(house):
    engine = await house.open()
    definition = flow(
        "start>a start>loop a>join loop>join join>ask ask>end",
        loop=loop(BODY, 3, input_map={"count": "start.count"}),
        join=merge(),
        ask=human(),
    )

    view = await engine.run(await save(engine, definition), {"start": {"count": 0}})
    assert view.run.status is RunStatus.PAUSED
    await engine.decide(view.run.id, APPROVE, {"by": "ann"}, "ann", "fine")
    end = await rested(engine, view.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs["end"]["ask"]["join"]["loop"] == {"count": 3}
    events = await all_of(engine.events(view.run.id))
    assert [event.number for event in events] == list(range(1, len(events) + 1))


async def test_values_come_back_as_they_were(house):
    engine = await house.open()
    odd = {"big": 10**40, "text": "a\0b \ud83d ü", "float": 1e-300}

    view = await engine.run(await save(engine, flow("start>end")), {"start": odd})

    assert (await engine.get_run(view.run.id)).outputs["start"] == odd


async def test_of_twenty_simultaneous_answers_one_wins(house):
    engine = await house.open()
    run = await engine.run(await save(engine, flow("start>ask ask>a", ask=human())), None)

    answers = await asyncio.gather(
        *(engine.decide(run.run.id, APPROVE, {"n": n}, f"user-{n}", None) for n in range(20)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Conflict) for answer in answers) == 19
    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_cancel_and_approve_at_once_fit_one_order(house):
    engine = await house.open()
    workflow_id = await save(engine, flow("start>ask ask>a", ask=human()))
    for _ in range(10):
        run = await engine.run(workflow_id, None)
        answers = await asyncio.gather(
            engine.cancel(run.run.id),
            engine.decide(run.run.id, APPROVE, {}, "ann", None),
            return_exceptions=True,
        )
        view = await rested(engine, run.run.id)

        assert all(isinstance(answer, Conflict) for answer in answers if isinstance(answer, Exception))
        was_canceled = not isinstance(answers[0], Exception)
        assert view.run.status is (RunStatus.CANCELED if was_canceled else RunStatus.COMPLETED)


async def test_a_batch_with_failing_rows(house, stage):
    stage.on("a", lambda inputs, context: _odd(inputs["start"]["n"]))
    engine = await house.open()
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(60)))
    definition = flow("start>a a>end", start=given(n="int"), end=output(n="a.n"))

    batch = await engine.start_batch(await save(engine, definition), dataset.id, 8)
    end = await rested(engine, batch.run.id)

    assert end.run.message == "54 of 60 rows completed, 6 failed."
    lines = [json.loads(line) for line in (await text_of(engine, end.run.output_file_id)).splitlines()]
    assert [line.get("row_index", line.get("end", {}).get("n")) for line in lines] == list(range(60))
    assert stage.most <= 8


def _odd(n):
    return NodeFailed("odd") if n % 10 == 3 else {"n": n}


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_a_run_ends_the_same_wherever_it_is_cut(house, stage, lands):
    engine = await house.open()
    part = await save(engine, flow("start>a a>end"), "part")
    definition = flow(
        "start>loop loop>sub sub>ask ask>end",
        loop=loop(BODY, 2, input_map={"count": "start.count"}),
        sub=child(part),
        ask=human(),
    )
    workflow_id = await save(engine, definition)
    for groups in count(1, step=2):
        run = await engine.start(workflow_id, {"start": {"count": 0}})
        was_cut = await Fuse(engine, groups, lands=lands).burn()
        if not was_cut:
            break
        engine = await house.restart(engine)
        assert (await rested(engine, run.run.id)).run.status is RunStatus.PAUSED
        await engine.decide(run.run.id, APPROVE, {}, "ann", None)
        end = await rested(engine, run.run.id)

        assert end.run.status is RunStatus.COMPLETED
        assert set(statuses(end).values()) == {"COMPLETED"}
        assert len(await engine.list_runs(Filter(parent_run_id=run.run.id), limit=10)) == 1
        mine = [times for task, times in stage.counts.items() if task.startswith(run.run.id)]
        assert max(mine) <= 2


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_a_rerun_executes_nothing_that_it_reuses_wherever_it_is_cut(house, stage, lands):
    engine = await house.open()
    stage.on("b", once(NodeFailed("broken"), {"by": "b"}))
    definition = flow(
        "start>route route.yes>loop route.no>other loop>b b>c c>end",
        route=router(yes=("start.count", 0), no=("start.count", 1)),
        loop=loop(BODY, 2, input_map={"count": "route.start.count"}),
    )
    old = await engine.run(await save(engine, definition), {"start": {"count": 0}})
    assert old.run.status is RunStatus.FAILED
    for groups in count(1):
        new = await engine.rerun(old.run.id, Order())
        if not await Fuse(engine, groups, lands=lands).burn():
            break
        engine = await house.restart(engine)
        end = await rested(engine, new.run.id)

        assert end.run.status is RunStatus.COMPLETED
        assert statuses(end)["other"] == "CANCELED"
        assert end.body_outputs(task_at(end, "loop")) == old.body_outputs(task_at(old, "loop"))
    assert stage.count("add") == 2
    assert len(await engine.list_runs(Filter(origin_id=old.run.id), limit=100)) == groups


async def test_a_canceled_batch_starts_nothing_more(house, stage):
    engine = await house.open()
    stage.hold("a")
    dataset = await upload(engine, "n\n" + "1\n" * 20)
    batch = await engine.start_batch(await save(engine, flow("start>a")), dataset.id, 4)
    await stage.begun("a", times=4)

    view = await engine.cancel(batch.run.id)
    stage.let_go("a")
    await still(engine)

    assert view.batch.canceled == 20
    assert stage.count("a") == 4
    rows = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
    assert {row.run.status for row in rows} == {RunStatus.CANCELED}


async def test_whoever_takes_a_run_over_fences_off_its_former_owner(house, stage):
    zombie = await house.open()
    stage.hold("a")
    run = await zombie.start(await save(zombie, flow("start>a a>b b>end")), None)
    await stage.begun("a")
    house.take_locks_from(zombie)

    engine = await house.open()
    await stage.begun("a", times=2)
    stage.let_go("a")
    await still(engine)
    await still(zombie)
    view = await engine.get_run(run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.epoch == 2
    assert stage.count("b") == 1


async def test_a_hundred_runs_at_once(house, stage):
    engine = await house.open()
    workflow_id = await save(engine, flow("start>a a>end"))

    views = await asyncio.gather(*(engine.run(workflow_id, {"start": {"n": n}}) for n in range(100)))

    assert {view.run.status for view in views} == {RunStatus.COMPLETED}
    assert set(stage.counts.values()) == {1}
