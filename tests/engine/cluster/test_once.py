"""The same request at two servers."""

import asyncio

import pytest

from rowel.core.errors import InProgress, KeyReused
from rowel.core.records import Answer
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.once import Once
from rowel.store.runs import Filter
from tests.support.flows import flow, human
from tests.support.house import reaches, save

APPROVE = PauseAction.APPROVE


def told(seen):
    return Answer(200, f"{seen.run.id} {seen.run.status}")


def once(key, asked=None):
    return Once.of(("here",), key, asked, told)


async def answered(engine, request, ask):
    """Ask until the first request has been worked on."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await engine.do_once(request, lambda once: ask(engine, once))
            except InProgress:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("is_blocking", [True, False])
async def test_a_request_at_two_servers_starts_one_run(fleet, stage, is_blocking):
    one, two, _ = await fleet.server(), await fleet.server(), await fleet.worker()
    workflow_id = await save(one, flow("start>a a>end"))
    await one.run(workflow_id, None, timeout_s=20)

    async def ask(engine, once):
        start = engine.run if is_blocking else engine.start
        return await start(workflow_id, {"start": {"n": 1}}, once=once)

    for round_ in range(5):
        replies = await asyncio.gather(
            *[answered(engine, once(f"k{round_}"), ask) for engine in (one, two, one, two)]
        )

        assert len({reply.answer for reply in replies}) == 1
        assert sum(not reply.is_replay for reply in replies) == 1
        await reaches(one, replies[0].run_id, RunStatus.COMPLETED)
    assert len(await two.list_runs(Filter(workflow_id=workflow_id), limit=100)) == 6
    assert max(stage.counts.values()) == 1


async def test_a_run_that_one_server_waits_for_is_in_progress_at_the_other(fleet, stage):
    one, two, _ = await fleet.server(), await fleet.server(), await fleet.worker()
    workflow_id = await save(one, flow("start>a a>end"))
    stage.hold("a")

    def ask(engine):
        return lambda once: engine.run(workflow_id, None, timeout_s=20, once=once)

    first = asyncio.ensure_future(one.do_once(once("k"), ask(one)))
    await stage.begun("a")
    with pytest.raises(InProgress, match="is RUNNING"):
        await two.do_once(once("k"), ask(two))
    with pytest.raises(KeyReused):
        await two.do_once(once("k", "other"), ask(two))
    stage.let_go("a")

    reply = await first
    assert (await two.do_once(once("k"), ask(two))).answer == reply.answer


async def test_a_decision_at_two_servers_is_one(fleet, stage):
    one, two, _ = await fleet.server(), await fleet.server(), await fleet.worker()
    workflow_id = await save(one, flow("start>ask start>too ask>end too>end", ask=human(), too=human()))

    async def ask(engine, once):
        return await engine.decide(run.run.id, APPROVE, {}, "ann", once=once)

    for round_ in range(5):
        run = await one.run(workflow_id, None, timeout_s=20)
        replies = await asyncio.gather(
            *[answered(engine, once(f"k{round_}"), ask) for engine in (one, two, one, two)]
        )

        assert len({reply.answer for reply in replies}) == 1
        assert sum(not reply.is_replay for reply in replies) == 1
        assert [pause.is_open for pause in await two.pause_history(run.run.id)].count(True) == 1
