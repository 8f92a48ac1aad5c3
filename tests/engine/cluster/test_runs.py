"""One process accepts, others move."""

import asyncio

import pytest

from rowel.core.errors import Busy, Conflict, Invalid, NodeFailed, Unavailable
from rowel.core.status import PauseAction, RunStatus
from rowel.engine.cluster import cluster
from rowel.engine.compose import Role, build_engine
from rowel.engine.reruns import Order
from rowel.store.database import Database
from tests.support.fake_nodes import once
from tests.support.flows import child, flow, human, work
from tests.support.house import all_of, reaches, save, statuses

APPROVE = PauseAction.APPROVE


async def test_a_blocking_run_is_answered_though_another_process_moves_it(told, stage):
    server, _ = await told.server(), await told.worker()

    view = await server.run(await save(server, flow("start>a a>end")), {"start": {"n": 1}}, timeout_s=20)

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["a"] == {"by": "a"}
    assert stage.count("a") == 1


async def test_a_rerun_is_moved_by_a_worker_that_executes_nothing_of_what_is_reused(told, stage):
    stage.on("b", once(NodeFailed("broken"), {"by": "b"}))
    server, _ = await told.server(), await told.worker()
    old = await server.run(await save(server, flow("start>a a>b b>end")), None, timeout_s=20)

    run = await server.rerun(old.run.id, Order())

    assert (run.run.status, run.run.origin_id) == (RunStatus.PENDING, old.run.id)
    end = await reaches(server, run.run.id, RunStatus.COMPLETED)
    assert end.outputs["b"] == {"by": "b"}
    assert (stage.count("a"), stage.count("b")) == (1, 2)


async def test_a_blocking_run_without_a_worker_waits_and_is_done_by_the_first_one(fleet):
    server = await fleet.server()
    workflow_id = await save(server, flow("start>a a>end"))

    view = await server.run(workflow_id, None, timeout_s=0.2)
    assert view.run.status is RunStatus.PENDING
    assert "No worker is alive" in (await server.trouble())
    await fleet.worker()

    assert (await reaches(server, view.run.id, RunStatus.COMPLETED)).run.status is RunStatus.COMPLETED
    assert await server.trouble() is None


async def test_events_reach_a_listener_at_another_process(told):
    server, _ = await told.server(), await told.worker()
    run = await server.start(await save(server, flow("start>a a>b b>end")), None)

    events = await all_of(server.events(run.run.id))

    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[-1].body["status"] == "COMPLETED"


async def test_who_listens_to_all_runs_hears_of_those_that_others_move(told):
    server, _ = await told.server(), await told.worker()
    heard = asyncio.ensure_future(anext_end(server.all_events()))
    await asyncio.sleep(0)

    run = await server.start(await save(server, flow("start>a a>end")), None)

    async with asyncio.timeout(20):
        assert await heard == run.run.id


async def told_of(engine, run_id, kind):
    """Wait for an event of this kind."""
    async with asyncio.timeout(20):
        async for event in engine.events(run_id):
            if event.kind == kind:
                return


async def anext_end(events):
    async for run_id, event in events:
        if event.kind == "run" and event.body["status"] == "COMPLETED":
            return run_id
    return None


async def test_a_cancel_reaches_the_worker_that_executes(told, stage):
    stage.hold("a")
    server, _ = await told.server(), await told.worker()
    run = await server.start(await save(server, flow("start>a a>b")), None)
    await stage.begun("a")

    await server.cancel(run.run.id)

    await stage.stopped(within_s=2)
    assert (await server.get_run(run.run.id)).run.status is RunStatus.CANCELED
    assert stage.count("b") == 0


async def test_a_decision_of_the_server_is_gone_on_with_by_a_worker(told, stage):
    server, _ = await told.server(), await told.worker()
    view = await server.run(await save(server, flow("start>ask ask>a", ask=human())), None, timeout_s=20)
    assert view.run.status is RunStatus.PAUSED

    await server.decide(view.run.id, APPROVE, {"x": 1}, "ann")

    end = await reaches(server, view.run.id, RunStatus.COMPLETED)
    assert end.outputs["ask"] == {"start": {}, "x": 1}
    assert stage.count("a") == 1


async def test_a_decision_reaches_the_worker_while_another_branch_is_under_way(told, stage):
    stage.hold("slow")
    server, _ = await told.server(), await told.worker()
    definition = flow("start>ask ask>a start>slow", ask=human())
    run = await server.start(await save(server, definition), None)
    await stage.begun("slow")
    await told_of(server, run.run.id, "pause")

    await server.decide(run.run.id, APPROVE, {}, "ann")

    await stage.begun("a")
    stage.let_go("slow")
    end = await reaches(server, run.run.id, RunStatus.COMPLETED)
    assert (stage.count("slow"), stage.count("a")) == (1, 1)
    assert set(statuses(end).values()) == {"COMPLETED"}


async def test_of_many_answers_at_two_servers_one_wins(fleet):
    first, second, _ = await fleet.server(), await fleet.server(), await fleet.worker()
    run = await first.run(await save(first, flow("start>ask ask>a", ask=human())), None, timeout_s=20)

    answers = await asyncio.gather(
        *((first, second)[n % 2].decide(run.run.id, APPROVE, {"n": n}, f"user-{n}") for n in range(12)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, Conflict) for answer in answers) == 11
    await reaches(second, run.run.id, RunStatus.COMPLETED)


async def test_a_child_run_moves_with_its_owner_and_a_pause_inside_wakes_both(fleet, stage):
    server, _, _ = await fleet.server(), await fleet.worker(), await fleet.worker()
    inner = await save(server, flow("start>ask ask>a a>end", ask=human()))
    middle = await save(server, flow("start>sub sub>end", sub=child(inner)))
    outer = await save(server, flow("start>sub sub>b", sub=child(middle)))
    view = await server.run(outer, None, timeout_s=20)
    assert view.run.status is RunStatus.PAUSED
    waiting = await server.paused(limit=10)
    asked = next(run.run.id for run, pause in waiting if pause.node_id == "ask")

    await server.decide(asked, APPROVE, {}, "ann")

    await reaches(server, view.run.id, RunStatus.COMPLETED)
    assert (stage.count("a"), stage.count("b")) == (1, 1)


async def test_canceling_a_paused_child_deep_inside_moves_the_runs_above(fleet):
    server, _ = await fleet.server(), await fleet.worker()
    inner = await save(server, flow("start>ask ask>end", ask=human()))
    middle = await save(server, flow("start>sub sub>end", sub=child(inner)))
    view = await server.run(await save(server, flow("start>sub", sub=child(middle))), None, timeout_s=20)
    waiting = await server.paused(limit=10)
    asked = next(run.run.id for run, pause in waiting if pause.node_id == "ask")

    await server.cancel(asked)

    assert (await reaches(server, view.run.id, RunStatus.CANCELED)).run.end_time is not None


async def test_runs_spread_over_workers_and_each_task_is_run_once(fleet, stage):
    stage.on("a", lambda inputs, context: asyncio.sleep(0.02, {"n": 1}))
    server = await fleet.server()
    for _ in range(3):
        await fleet.worker(interactive=2)
    workflow_id = await save(server, flow("start>a a>end"))

    views = await asyncio.gather(*(server.run(workflow_id, None, timeout_s=30) for _ in range(40)))

    assert {view.run.status for view in views} == {RunStatus.COMPLETED}
    assert set(stage.counts.values()) == {1}
    assert 2 < stage.most <= 6


async def test_a_worker_that_drains_leaves_its_run_at_a_boundary_to_another(fleet, stage):
    stage.hold("a")
    server, first = await fleet.server(), await fleet.worker()
    run = await server.start(await save(server, flow("start>a a>b b>end")), None)
    await stage.begun("a")
    closing = asyncio.ensure_future(fleet.shut(first))
    await asyncio.sleep(0.1)
    stage.let_go("a")
    await closing

    await fleet.worker()

    await reaches(server, run.run.id, RunStatus.COMPLETED)
    assert (stage.count("a"), stage.count("b")) == (1, 1)


async def test_a_full_queue_refuses_more(fleet):
    server = await fleet.server(queue=2)
    workflow_id = await save(server, flow("start>a"))
    await server.start(workflow_id, None)
    await server.start(workflow_id, None)

    with pytest.raises(Busy, match="2 runs are queued already"):
        await server.start(workflow_id, None)


async def test_a_retry_waits_for_its_time_in_a_worker(fleet, stage):
    fails = iter([RuntimeError("no"), None])
    stage.on("a", lambda inputs, context: next(fails) or {"n": 1})
    server, _ = await fleet.server(), await fleet.worker()
    definition = flow("start>a", a=work(retry={"attempts": 2, "backoff_s": 60}))
    run = await server.start(await save(server, definition), None)

    await fleet.clock.sleeper()
    await fleet.clock.advance(61)

    end = await reaches(server, run.run.id, RunStatus.COMPLETED)
    assert end.tasks[-1].attempt == 2


def test_several_processes_never_share_a_file(tmp_path):
    with pytest.raises(Invalid, match="share a Postgres"):
        build_engine(tmp_path, role=Role.WORKS)


async def test_a_worker_waits_where_postgres_restarts_while_it_begins(fleet, monkeypatch):
    await fleet.server()
    looks = iter([Unavailable("it restarts"), False, True])

    def look(_):
        found = next(looks)
        if isinstance(found, Unavailable):
            raise found
        return found

    monkeypatch.setattr(Database, "is_migrated", look)
    monkeypatch.setattr(cluster, "TABLES_EACH_S", 0)

    await fleet.worker()

    assert list(looks) == []
