"""Failed tasks are tried again, after a wait that the clock decides."""

from datetime import timedelta

from rowel.core.errors import NodeFailed
from rowel.core.status import RunStatus, TaskStatus
from tests.support.fake_nodes import once
from tests.support.flows import flow, output, work
from tests.support.house import rested, save, started_and_rested, task_at

BROKEN = NodeFailed("broken")


def tried(attempts, backoff_s=0.0, **config):
    return flow("start>a a>end", a=work(retry={"attempts": attempts, "backoff_s": backoff_s}, **config))


async def test_a_node_without_retry_is_run_once(engine, stage):
    stage.on("a", BROKEN)

    await started_and_rested(engine, flow("start>a"))

    assert stage.count("a") == 1


async def test_a_failed_attempt_is_followed_by_another(engine, stage):
    stage.on("a", once(BROKEN, then={"x": 1}))

    view = await started_and_rested(engine, tried(3))

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["a"] == {"x": 1}
    assert [call.attempt for call in stage.calls] == [1, 2]
    assert task_at(view, "a").attempt == 2
    assert task_at(view, "a").error is None


async def test_after_the_last_attempt_the_node_has_failed(engine, stage):
    stage.on("a", BROKEN)

    view = await started_and_rested(engine, tried(3))

    assert view.run.message == "Node 'a' failed: broken"
    assert stage.count("a") == 3


async def test_all_attempts_are_one_task_with_one_id(engine, stage):
    stage.on("a", once(BROKEN, then={}, times=2))

    view = await started_and_rested(engine, tried(3))

    assert {call.task_id for call in stage.calls} == {f"{view.run.id}.a"}
    assert len(view.tasks) == 3


async def test_the_wait_between_attempts_doubles(engine, stage, clock):
    stage.on("a", BROKEN)
    begun = clock.now()
    run = await engine.start(await save(engine, tried(3, backoff_s=10)), None)

    assert await clock.sleeper() == begun + timedelta(seconds=10)
    await clock.advance(10)
    await stage.begun("a", times=2)
    assert await clock.sleeper() == begun + timedelta(seconds=30)
    await clock.advance(20)

    assert (await rested(engine, run.run.id)).run.status is RunStatus.FAILED
    assert stage.count("a") == 3


async def test_while_it_waits_the_task_is_pending_and_says_why(engine, stage, clock):
    stage.on("a", BROKEN)
    run = await engine.start(await save(engine, tried(2, backoff_s=10)), None)

    await clock.sleeper()
    view = await engine.get_run(run.run.id)

    assert view.run.status is RunStatus.RUNNING
    assert task_at(view, "a").status is TaskStatus.PENDING
    assert task_at(view, "a").error == "broken"
    assert task_at(view, "a").retry_at == clock.now() + timedelta(seconds=10)


async def test_the_other_side_may_ask_for_a_longer_wait(engine, stage, clock):
    stage.on("a", NodeFailed("busy", retry_after_s=60))
    await engine.start(await save(engine, tried(2, backoff_s=1)), None)

    assert await clock.sleeper() == clock.now() + timedelta(seconds=60)


async def test_on_error_continue_comes_after_the_last_attempt(engine, stage):
    stage.on("a", BROKEN)

    view = await started_and_rested(engine, tried(2, on_error="continue"))

    assert stage.count("a") == 2
    assert view.outputs["a"] == {"error": "broken"}


async def test_branches_beside_go_on_while_a_task_waits(engine, stage, clock):
    stage.on("a", once(BROKEN, then={}))
    definition = flow(
        "start>a start>b b>c a>end c>end", a=work(retry={"attempts": 2, "backoff_s": 3600}), end=output()
    )
    run = await engine.start(await save(engine, definition), None)
    await clock.sleeper()
    await stage.begun("c")

    await clock.advance(3600)

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_a_wait_outlives_the_engine(house, stage, clock):
    stage.on("a", once(BROKEN, then={"x": 1}))
    engine = await house.open()
    run = await engine.start(await save(engine, tried(2, backoff_s=100)), None)
    await clock.sleeper()

    engine = await house.restart(engine)
    assert await clock.sleeper() == task_at(await engine.get_run(run.run.id), "a").retry_at
    assert stage.count("a") == 1
    await clock.advance(100)

    end = await rested(engine, run.run.id)
    assert end.outputs["a"] == {"x": 1}
    assert [call.attempt for call in stage.calls] == [1, 2]


async def test_attempts_are_counted_over_crashes(house, stage, clock):
    stage.on("a", BROKEN)
    engine = await house.open()
    run = await engine.start(await save(engine, tried(3, backoff_s=100)), None)
    await clock.sleeper()
    engine = await house.restart(engine)
    await clock.advance(1000)
    await stage.begun("a", times=2)
    await clock.sleeper()
    engine = await house.restart(engine)
    await clock.advance(1000)

    assert (await rested(engine, run.run.id)).run.status is RunStatus.FAILED
    assert stage.count("a") == 3


async def test_a_timeout_is_tried_again(engine, stage):
    stage.hold("a")
    run = await engine.start(await save(engine, tried(2, timeout_s=0.05)), None)
    await stage.begun("a", times=2)
    stage.let_go("a")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED
