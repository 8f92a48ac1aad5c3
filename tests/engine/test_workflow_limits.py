"""At most so many runs of a workflow at once, where its definition says so; the others wait in the queue."""

from __future__ import annotations

import asyncio
import json

import pytest

from rowel.core.errors import Busy, InvalidDefinition
from rowel.core.limits import Limit, Limits
from rowel.core.status import PauseAction, RunStatus
from rowel.nodes.clients.turns import Turns
from tests.support.clocks import FakeWatch, settled
from tests.support.flows import child, flow, given, human
from tests.support.house import reaches, rested, save, still, text_of, upload


def limited(at_once, picture="start>a", **nodes):
    return {**flow(picture, **nodes), "limits": {"at_once": at_once}}


async def started(engine, workflow, count):
    return [(await engine.start(workflow, {"start": {}})).run.id for _ in range(count)]


async def statuses(engine, run_ids):
    return [str((await engine.get_run(run_id)).run.status) for run_id in run_ids]


async def test_no_more_runs_execute_at_once_and_all_of_them_end(engine, stage):
    stage.hold("a")
    run_ids = await started(engine, await save(engine, limited(2)), 6)
    await stage.begun("a", 2)
    await settled()

    assert await statuses(engine, run_ids) == ["RUNNING"] * 2 + ["PENDING"] * 4
    stage.let_go("a")
    for run_id in run_ids:
        assert (await rested(engine, run_id)).run.status is RunStatus.COMPLETED
    assert stage.most == 2


async def test_those_that_wait_leave_their_slots_to_other_workflows(house, stage):
    engine = await house.open(slots=3)
    stage.hold("a")
    await started(engine, await save(engine, limited(1)), 5)
    await stage.begun("a", 1)

    other = await engine.start(await save(engine, flow("start>b")), None)

    await reaches(engine, other.run.id, RunStatus.COMPLETED)
    stage.let_go("a")
    await still(engine)
    assert stage.count("a") == 5


async def test_those_that_wait_count_as_queued(house, stage):
    engine = await house.open(slots=10, queue=3)
    stage.hold("a")
    workflow = await save(engine, limited(1))
    await started(engine, workflow, 4)
    await settled()

    with pytest.raises(Busy, match="3 runs are queued"):
        await engine.start(workflow, {"start": {}})
    stage.let_go("a")
    await still(engine)


async def test_a_run_that_pauses_leaves_its_place_to_the_next(engine, stage):
    workflow = await save(engine, limited(1, "start>ask ask>a", ask=human(message="?")))
    first, second = await started(engine, workflow, 2)

    await reaches(engine, second, RunStatus.PAUSED)
    await engine.decide(first, PauseAction.APPROVE, {}, "ann")
    assert (await reaches(engine, first, RunStatus.COMPLETED)).run.status is RunStatus.COMPLETED


async def test_a_run_that_waits_is_canceled_at_once_and_never_begins(engine, stage):
    stage.hold("a")
    workflow = await save(engine, limited(1))
    (first,) = await started(engine, workflow, 1)
    await stage.begun("a", 1)
    blocked = asyncio.ensure_future(engine.run(workflow, {"start": {}}))
    (third,) = await started(engine, workflow, 1)
    await settled()
    second = next(run_id for run_id in engine._house.dispatch._live if run_id not in (first, third))

    await engine.cancel(second)

    async with asyncio.timeout(5):
        assert (await blocked).run.status is RunStatus.CANCELED
    stage.let_go("a")
    await still(engine)
    assert stage.count("a") == 2


async def test_a_blocking_run_that_waits_is_kept_before(engine, stage):
    stage.hold("a")
    workflow = await save(engine, limited(1))
    await started(engine, workflow, 1)
    await stage.begun("a", 1)

    late = await engine.run(workflow, {"start": {}}, timeout_s=0.05)

    assert late.run.status is RunStatus.PENDING
    stage.let_go("a")
    assert (await rested(engine, late.run.id)).run.status is RunStatus.COMPLETED


async def test_rows_of_batches_and_single_runs_share_the_places_and_single_runs_go_first(engine, stage):
    workflow = await save(engine, limited(2, start=given(n="int")))
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(12)))
    stage.hold("a")
    batch = await engine.start_batch(workflow, dataset.id, 6)
    await stage.begun("a", 2)
    run = await engine.start(workflow, {"start": {"n": 99}})
    await settled()
    stage.let_go("a")
    end = await rested(engine, batch.run.id)

    assert end.run.message == "12 of 12 rows completed."
    assert stage.most == 2
    order = [call.inputs["start"]["n"] for call in stage.calls]
    assert order.index(99) == 2
    assert (await engine.get_run(run.run.id)).run.status is RunStatus.COMPLETED
    lines = (await text_of(engine, end.run.output_file_id)).splitlines()
    assert [json.loads(line)["start"]["n"] for line in lines] == list(range(12))


async def test_a_batch_whose_rows_wait_is_canceled_at_once(engine, stage):
    workflow = await save(engine, limited(1, start=given(n="int")))
    dataset = await upload(engine, "n\n" + "1\n" * 12)
    stage.hold("a")
    batch = await engine.start_batch(workflow, dataset.id, 6)
    await stage.begun("a", 1)

    await engine.cancel(batch.run.id)

    async with asyncio.timeout(5):
        await still(engine)
    assert stage.count("a") == 1


async def test_a_run_inside_a_run_has_the_place_of_the_one_that_waits_for_it(engine, stage):
    inner = await save(engine, limited(1))
    outer = {**flow("start>c", c=child(inner)), "limits": {"at_once": 1}}
    (run_id,) = await started(engine, await save(engine, outer), 1)

    assert (await rested(engine, run_id)).run.status is RunStatus.COMPLETED


async def test_what_waits_is_taken_up_after_a_crash(house, stage):
    engine = await house.open()
    stage.hold("a")
    run_ids = await started(engine, await save(engine, limited(1)), 4)
    await stage.begun("a", 1)
    engine = await house.restart(engine)
    stage.let_go("a")
    stage.most = stage.running = 0

    for run_id in run_ids:
        assert (await rested(engine, run_id)).run.status is RunStatus.COMPLETED
    assert stage.most == 1


async def test_who_closes_the_engine_does_not_wait_for_those_that_wait(house, stage):
    engine = await house.open()
    stage.hold("a")
    run_ids = await started(engine, await save(engine, limited(1)), 3)
    await stage.begun("a", 1)
    stage.let_go("a")
    await house.shut(engine)

    engine = await house.open()
    for run_id in run_ids:
        assert (await rested(engine, run_id)).run.status is RunStatus.COMPLETED
    assert stage.count("a") <= 4


async def test_calls_of_models_of_all_its_runs_share_a_limit(engine, stage):
    watch = FakeWatch()
    turns = Turns(Limits({"*": Limit(at_once=50)}), now=watch.now, sleep=watch.sleep)
    went = []

    async def ask(inputs, context):
        async with turns.turn(f"openai/{len(went)}", 1, context.caller):
            went.append(watch.now())
        return {}

    stage.on("a", ask)
    definition = {**flow("start>a"), "limits": {"requests_per_minute": 6}}
    await started(engine, await save(engine, definition), 3)
    await stage.begun("a", 3)
    for _ in range(3):
        await watch.advance(10.1)
    await still(engine)

    assert [round(time - 1000) for time in went] == [0, 10, 20]
    await turns.close()


@pytest.mark.parametrize("limits", [{"at_once": 0}, [], {"per_day": 3}, "2"])
async def test_what_is_no_limit_is_refused_when_the_workflow_is_saved(engine, limits):
    with pytest.raises(InvalidDefinition, match="definition, limits: must be "):
        await engine.create_workflow("x", {**flow("start>a"), "limits": limits})
