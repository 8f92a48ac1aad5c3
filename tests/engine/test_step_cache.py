"""Nodes with `cache_s` are not run where an equal one gave an answer to an equal question."""

from __future__ import annotations

from datetime import timedelta

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Usage
from rowel.core.status import PauseAction, RunStatus
from rowel.engine import stepcache
from rowel.engine.redrives import Redrive
from rowel.engine.reruns import Order
from rowel.store import stepcache as store
from tests.support.fake_nodes import once
from tests.support.flows import child, flow, given, human, loop, work
from tests.support.house import Fuse, all_of, rested, save, started_and_rested, task_at, upload

CACHED = flow("start>a a>b", start=given(n="int"), a=work(cache_s=60))


async def ran(engine, definition=CACHED, n=1, **wish):
    run = await engine.start(await save(engine, definition), {"start": {"n": n}}, **wish)
    return await rested(engine, run.run.id)


async def test_an_equal_question_is_answered_from_the_cache(engine, stage):
    stage.on("a", lambda inputs, context: {"n": inputs["start"]["n"]})

    first, second = await ran(engine), await ran(engine)

    assert stage.count("a") == 1
    assert stage.count("b") == 2
    assert second.outputs["a"] == first.outputs["a"] == {"n": 1}
    assert not task_at(first, "a").is_cached
    assert task_at(second, "a").is_cached
    assert task_at(second, "a").usage is None


async def test_another_question_is_not(engine, stage):
    await ran(engine, n=1)
    await ran(engine, n=2)
    await ran(engine, flow("start>a", start=given(n="int"), a=work(cache_s=60, gives={"x": 1})), n=1)

    assert stage.count("a") == 3


async def test_a_node_that_does_not_say_so_is_run_each_time(engine, stage):
    plain = flow("start>a", start=given(n="int"))

    await ran(engine, plain)
    await ran(engine, plain)

    assert stage.count("a") == 2


async def test_its_time_is_over_after_so_many_seconds(engine, stage, clock):
    await ran(engine)
    await clock.advance(59)
    await ran(engine)
    await clock.advance(2)
    await ran(engine)

    assert stage.count("a") == 2


async def test_a_fresh_run_asks_the_node_and_renews_what_is_kept(engine, stage):
    stage.on("a", {"x": "old"})
    await ran(engine)
    stage.on("a", {"x": "new"})

    fresh = await ran(engine, fresh=True)
    after = await ran(engine)

    assert fresh.outputs["a"] == after.outputs["a"] == {"x": "new"}
    assert fresh.run.is_fresh
    assert stage.count("a") == 2


async def test_failures_are_not_kept_nor_what_stands_for_them(engine, stage):
    failing = flow("start>a", start=given(n="int"), a=work(cache_s=60, on_error="continue"))
    stage.on("a", NodeFailed("no"))
    assert (await ran(engine, failing)).outputs["a"] == {"error": "no"}
    stage.on("a", {"x": 1})

    assert (await ran(engine, failing)).outputs["a"] == {"x": 1}


async def test_what_a_second_attempt_gave_is_kept(engine, stage):
    retried = flow(
        "start>a", start=given(n="int"), a=work(cache_s=60, retry={"attempts": 2, "backoff_s": 0.0})
    )
    stage.on("a", once(NodeFailed("no"), then={"x": 1}))

    await ran(engine, retried)
    again = await ran(engine, retried)

    assert stage.count("a") == 2
    assert task_at(again, "a").is_cached


async def test_a_person_is_asked_each_time(engine):
    asking = flow("start>a", start=given(n="int"), a=human(message="?", cache_s=60))
    first = await ran(engine, asking)
    await engine.decide(first.run.id, PauseAction.APPROVE, {}, "ann")
    await rested(engine, first.run.id)

    assert (await ran(engine, asking)).run.status is RunStatus.PAUSED


async def test_the_entry_and_the_task_land_together_or_not_at_all(house, stage):
    engine = await house.open()
    workflow = await save(engine, CACHED)
    run = await engine.start(workflow, {"start": {"n": 1}})
    fuse = Fuse(engine, 2, lands=False)
    await fuse.blown()
    engine = await house.restart(engine)

    end = await rested(engine, run.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert stage.count("a") == 2
    assert not task_at(end, "a").is_cached


async def test_what_it_spent_is_not_spent_again(engine, stage):
    def spend(inputs, context):
        context.spend(Usage(10, 20, 0.5, 1))
        return {}

    stage.on("a", spend)
    await ran(engine)

    assert task_at(await ran(engine), "a").usage is None


async def test_listeners_hear_that_it_came_from_the_cache(engine):
    await ran(engine)
    run = await ran(engine)

    told = [event.body for event in await all_of(engine.events(run.run.id)) if event.kind == "task"]

    assert [body["cached"] for body in told if body["node_id"] == "a" and "cached" in body] == [True]


async def test_rows_iterations_and_child_runs_share_it(engine, stage):
    stage.on("a", {"x": 1})
    inner = await save(engine, flow("start>a a>end", a=work(cache_s=60)))
    dataset = await upload(engine, "n\n" + "1\n" * 5)
    workflow = await save(engine, CACHED)

    await engine.start_batch(workflow, dataset.id, 1)
    await rested(engine, (await engine.start_batch(workflow, dataset.id, 1)).run.id)
    assert stage.count("a") <= 2
    before = stage.count("a")
    await started_and_rested(engine, flow("start>c", c=child(inner)))
    await started_and_rested(engine, flow("start>c", c=child(inner)))
    assert stage.count("a") == before + 1
    body = flow("start>a a>end", a=work(cache_s=60))
    await started_and_rested(
        engine, flow("start>l", l=loop(body, 3, input_map={"k": "start.k"})), {"start": {"k": 7}}
    )
    assert stage.count("a") <= before + 4


async def test_fresh_is_handed_on_to_rows_children_reruns_and_redrives(engine, stage):
    inner = await save(engine, flow("start>a a>end", a=work(cache_s=60)))
    outer = await save(engine, flow("start>c", c=child(inner)))
    for wish in ({}, {"fresh": True}):
        run = await engine.start(outer, {"start": {}}, **wish)
        await rested(engine, run.run.id)
    assert stage.count("a") == 2
    old = await ran(engine)
    again = await engine.rerun(old.run.id, Order(from_nodes=["a"], fresh=True))
    await rested(engine, again.run.id)
    assert stage.count("a") == 4
    dataset = await upload(engine, "n\n1\n1\n")
    batch = await engine.start_batch(await save(engine, CACHED), dataset.id, 1, fresh=True)
    await rested(engine, batch.run.id)
    assert stage.count("a") == 6
    redriven = await engine.redrive_batch(batch.run.id, Redrive(rows=[0], fresh=True))
    await rested(engine, redriven.run.id)
    assert stage.count("a") == 7


async def test_a_rerun_that_reuses_a_task_does_not_call_it_cached(engine):
    await ran(engine)
    cached = await ran(engine)
    again = await engine.rerun(cached.run.id, Order(from_nodes=["b"]))
    task = task_at(await rested(engine, again.run.id), "a")

    assert (task.is_reused, task.is_cached) == (True, False)


async def test_what_is_too_large_is_not_kept(engine, stage, monkeypatch):
    monkeypatch.setattr(stepcache, "MAX_ENTRY", 10)
    stage.on("a", {"x": "0123456789"})

    await ran(engine)
    await ran(engine)

    assert stage.count("a") == 2


async def test_what_expires_first_goes_once_there_is_too_much(house, stage):
    engine = await house.open(cache=100)
    stage.on("a", {"x": "0123456789"})
    cache = engine._house.cache
    for n in range(20):
        await ran(engine, flow("start>a", start=given(n="int"), a=work(cache_s=60 + n)), n)
    await cache.trim()

    size = await engine._house.database.read(store.size)
    assert 0 < size <= 100
    await ran(engine, flow("start>a", start=given(n="int"), a=work(cache_s=60)), 19)
    assert stage.count("a") == 20


async def test_prune_forgets_what_has_expired(engine, clock):
    await ran(engine)
    await clock.advance(61)

    await engine.prune(timedelta(days=30))

    assert await engine._house.database.read(store.size) == 0


async def test_on_postgres_too(postgres_house, stage):
    engine = await postgres_house.open()

    await ran(engine)
    again = await ran(engine)
    fresh = await ran(engine, fresh=True)

    assert task_at(again, "a").is_cached
    assert not task_at(fresh, "a").is_cached
    assert stage.count("a") == 2
