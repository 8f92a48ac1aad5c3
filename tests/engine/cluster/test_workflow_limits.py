"""At most so many runs of a workflow at once, over all workers."""

from __future__ import annotations

import asyncio

import pytest

from rowel.core.status import RunStatus
from rowel.engine.cluster import admission
from tests.support.flows import flow, given
from tests.support.house import reaches, save, upload


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Who finds no room to wait comes back soon."""
    monkeypatch.setattr(admission, "LATER_S", 0.3)


def limited(at_once, picture="start>a", **nodes):
    return {**flow(picture, **nodes), "limits": {"at_once": at_once}}


async def crew(fleet, workers=2, **capacity):
    server = await fleet.server()
    for _ in range(workers):
        await fleet.worker(**capacity)
    return server


async def started(server, workflow, count):
    return [(await server.start(workflow, {"start": {}})).run.id for _ in range(count)]


async def brief(inputs, context):
    await asyncio.sleep(0.02)
    return {}


async def test_two_workers_execute_no_more_at_once_and_all_of_them_end(fleet, stage):
    stage.on("a", brief)
    server = await crew(fleet)

    run_ids = await started(server, await save(server, limited(2)), 10)
    for run_id in run_ids:
        await reaches(server, run_id, RunStatus.COMPLETED)

    assert stage.most == 2
    assert set(stage.counts.values()) == {1}


async def test_those_that_wait_are_pending_and_leave_room_to_other_workflows(fleet, stage):
    stage.hold("a")
    server = await crew(fleet, workers=1, interactive=4)
    run_ids = await started(server, await save(server, limited(1)), 12)
    await stage.begun("a", 1)

    other = await server.start(await save(server, flow("start>b")), None)
    async with asyncio.timeout(10):
        await reaches(server, other.run.id, RunStatus.COMPLETED)
    stage.most = stage.running
    statuses = [(await server.get_run(run_id)).run.status for run_id in run_ids]
    stage.let_go("a")
    for run_id in run_ids:
        await reaches(server, run_id, RunStatus.COMPLETED)

    assert sorted(statuses) == ["PENDING"] * 11 + ["RUNNING"]
    assert stage.most == 1


async def test_rows_of_batches_and_single_runs_share_the_places(fleet, stage):
    stage.on("a", brief)
    server = await crew(fleet)
    workflow = await save(server, limited(2, start=given(n="int")))
    dataset = await upload(server, "n\n" + "".join(f"{n}\n" for n in range(8)))

    batch = await server.start_batch(workflow, dataset.id, 6)
    run = await server.start(workflow, {"start": {"n": 99}})
    await reaches(server, run.run.id, RunStatus.COMPLETED)
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert end.batch.completed == 8
    assert stage.most <= 2
    assert set(stage.counts.values()) == {1}


async def test_a_run_that_waits_is_canceled_and_lets_the_next_one_wait(fleet, stage):
    stage.hold("a")
    server = await crew(fleet, workers=1)
    first, second, third = await started(server, await save(server, limited(1)), 3)
    await stage.begun("a", 1)

    for run_id in (second, third):
        await server.cancel(run_id)
    waiting = fleet._open[-1]._house.dispatch.admission.waiting
    async with asyncio.timeout(10):
        while waiting:  # noqa: ASYNC110  # it hears of the cancel by a notification
            await asyncio.sleep(0.02)
    stage.let_go("a")
    await reaches(server, first, RunStatus.COMPLETED)

    assert stage.count("a") == 1


async def test_a_worker_that_ends_hands_on_what_waits_with_it(fleet, stage):
    stage.on("a", brief)
    server = await crew(fleet, workers=1)
    leaving = fleet._open[-1]
    run_ids = await started(server, await save(server, limited(1)), 6)
    await stage.begun("a", 1)
    await fleet.worker()

    await fleet.shut(leaving)
    for run_id in run_ids:
        await reaches(server, run_id, RunStatus.COMPLETED)

    assert stage.most == 1
    assert stage.count("a") == 6
