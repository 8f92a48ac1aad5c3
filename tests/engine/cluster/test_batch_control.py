"""Canaries, thresholds and changes on the way, where several workers share a batch."""

import asyncio
import json

from rowel.core.errors import NodeFailed
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.redrives import Redrive
from rowel.engine.rowdecisions import Wish
from rowel.store.runs import Filter
from tests.support.flows import flow, given, human
from tests.support.house import reaches, save, text_of, upload

PLAIN = flow("start>a", start=given(n="int"))


async def started(server, rows, window, **wish):
    dataset = await upload(server, "n\n" + "".join(f"{n}\n" for n in range(rows)))
    return await server.start_batch(await save(server, PLAIN), dataset.id, window, **wish)


async def begun(server, batch):
    found = await server.list_runs(Filter(parent_run_id=batch.run.id), limit=1000)
    return sorted(view.run.row_index for view in found)


async def crew(fleet, workers=3):
    server = await fleet.server()
    for _ in range(workers):
        await fleet.worker()
    return server


async def test_no_worker_begins_a_row_behind_the_canary_before_somebody_has_approved(fleet, stage):
    server = await crew(fleet)
    batch = await started(server, 40, 8, canary=5)

    await reaches(server, batch.run.id, RunStatus.PAUSED)
    assert await begun(server, batch) == list(range(5))
    await server.decide(batch.run.id, PauseAction.APPROVE, {}, "ann")
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert end.batch.completed == 40
    assert set(stage.counts.values()) == {1}
    assert len(await server.pause_history(batch.run.id)) == 1


async def test_a_declined_batch_is_canceled_wherever_its_rows_were(fleet, stage):
    server = await crew(fleet)
    batch = await started(server, 40, 8, canary=5)
    await reaches(server, batch.run.id, RunStatus.PAUSED)

    end = await server.decide(batch.run.id, PauseAction.DECLINE, {}, "ann")

    assert (end.run.status, end.batch.canceled) == (RunStatus.CANCELED, 35)
    assert await begun(server, batch) == list(range(5))


async def test_one_row_at_a_time_stops_at_the_row_that_passes_the_threshold(fleet, stage):
    stage.on("a", lambda inputs, context: NodeFailed("no") if inputs["start"]["n"] in (3, 7) else {})
    server = await crew(fleet)
    batch = await started(server, 60, 1, failure_threshold={"count": 1})

    end = await reaches(server, batch.run.id, RunStatus.FAILED)

    assert await begun(server, batch) == list(range(8))
    assert (end.batch.completed, end.batch.failed, end.batch.canceled) == (6, 2, 52)
    assert end.run.message.startswith("The batch was ended: more than 1 row failed (2 of 8)")


async def test_no_more_rows_begin_than_the_window_once_too_many_have_failed(fleet, stage):
    stage.on("a", NodeFailed("no"))
    server = await crew(fleet)
    batch = await started(server, 400, 6, failure_threshold={"count": 10})

    end = await reaches(server, batch.run.id, RunStatus.FAILED)

    assert 11 <= end.batch.failed <= 11 + 6
    assert len(await begun(server, batch)) == end.batch.failed
    assert end.batch.failed + end.batch.canceled == 400


async def test_a_change_of_the_window_reaches_the_workers_within_two_seconds(fleet, stage):
    stage.hold("a")
    server = await crew(fleet)
    batch = await started(server, 40, 2)
    await stage.begun("a", 2)

    await server.adjust_batch(batch.run.id, mini_batch_size=9)

    async with asyncio.timeout(2):
        await stage.begun("a", 9)
    assert (await server.get_batch(batch.run.id)).batch.running == 9
    stage.let_go("a")
    await reaches(server, batch.run.id, RunStatus.COMPLETED)


async def test_a_threshold_that_is_raised_lets_the_workers_go_on(fleet, stage):
    stage.hold("a")
    server = await crew(fleet)
    batch = await started(server, 30, 3, failure_threshold={"count": 0})
    await stage.begun("a", 3)
    stage.on("a", lambda inputs, context: NodeFailed("no") if inputs["start"]["n"] < 2 else {})

    await server.adjust_batch(batch.run.id, failure_threshold={"count": 2})
    stage.let_go("a")
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)

    assert (end.batch.completed, end.batch.failed) == (28, 2)


async def test_workers_run_only_the_rows_that_are_redriven(fleet, stage):
    def fails(inputs, context):
        n = inputs["start"]["n"]
        return NodeFailed("no") if n % 7 == 3 or n >= 55 else {"x": n}

    stage.on("a", fails)
    server = await crew(fleet)
    old = await started(server, 60, 6)
    await reaches(server, old.run.id, RunStatus.COMPLETED)
    stage.on("a", lambda inputs, context: {"x": "again"})

    new = await server.redrive_batch(old.run.id, Redrive())
    end = await reaches(server, new.run.id, RunStatus.COMPLETED)

    chosen = [n for n in range(60) if n % 7 == 3 or n >= 55]
    assert await begun(server, new) == chosen
    assert (end.batch.completed, end.batch.total) == (len(chosen), len(chosen))
    lines = [json.loads(line) for line in (await text_of(server, end.run.output_file_id)).splitlines()]
    assert [line["a"]["x"] for line in lines] == ["again" if n in chosen else n for n in range(60)]
    assert set(stage.counts.values()) == {1}


async def test_a_decision_for_many_rows_reaches_all_workers(fleet, stage):
    asks = flow("start>ask ask>a", start=given(n="int"), ask=human())
    server = await crew(fleet)
    dataset = await upload(server, "n\n" + "".join(f"{n}\n" for n in range(20)))
    batch = await server.start_batch(await save(server, asks), dataset.id, 4)
    await reaches(server, batch.run.id, RunStatus.PAUSED)

    verdict = await server.decide_rows(
        batch.run.id, Wish(node_id="ask", action=PauseAction.APPROVE, inputs={}, user_id="ann")
    )

    assert (verdict.decided, verdict.refused) == (20, [])
    end = await reaches(server, batch.run.id, RunStatus.COMPLETED)
    assert end.batch.completed == 20
    assert set(stage.counts.values()) == {1}
