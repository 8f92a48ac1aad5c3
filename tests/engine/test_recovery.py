"""Whatever is cut off, and whenever: what was accepted ends, and what was done is not done again."""

import asyncio
from itertools import count

import pytest

import rowel.engine.rows
import rowel.engine.runner
from rowel.core.errors import NodeFailed
from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.engine.upkeep import Upkeep
from rowel.files.rows import Row
from rowel.store.runs import Filter
from tests.support.fake_nodes import once
from tests.support.flows import child, coalesce, flow, given, human, loop, merge, output, router, static, work
from tests.support.house import Fuse, reaches, rested, save, statuses, still, task_at, text_of, upload

APPROVE = PauseAction.APPROVE
FEW = 3
#: Runs are given up sooner: every restart takes its time.
SOON = Upkeep(recoveries=FEW)
MOST = Upkeep().recoveries
BODY = flow("start>add add>end", end=output(count="add.count"))
COUNTED = {"input_map": {"count": "start.count"}}

CHAIN = flow("start>a a>b b>c c>end")
DIAMOND = flow("start>a start>b a>join b>join join>c c>end", join=merge())
ROUTED = flow(
    "start>route route.yes>a route.no>b a>pick b>pick pick>c",
    route=router(yes=("start.count", 0), no=("start.count", 1)),
    pick=coalesce("a", "b"),
)
LOOPED = flow("start>loop loop>a a>end", loop=loop(BODY, 3, **COUNTED))
NESTED = flow(
    "start>outer outer>end",
    outer=loop(
        flow("start>inner inner>end", inner=loop(BODY, 2, **COUNTED), end=output(count="inner.count")),
        2,
        **COUNTED,
    ),
)
PAUSED = flow("start>a start>ask ask>b a>end b>end", ask=human())
ASKED_IN_LOOP = flow("start>loop loop>c", loop=loop(flow("start>a a>ask ask>b b>end", ask=human()), 2))
FAILING = flow("start>bad bad>a start>b b>c", bad=work(retry={"attempts": 2, "backoff_s": 0}))
CONTINUED = flow("start>bad bad>a", bad=work(on_error="continue"))
HELD = flow("start>ask start>a a>b ask>c", ask=human(block_only_dependent_nodes=False))
SHAPES = {
    "chain": CHAIN,
    "diamond": DIAMOND,
    "routed": ROUTED,
    "loop": LOOPED,
    "nested loops": NESTED,
    "pause": PAUSED,
    "pause in a loop": ASKED_IN_LOOP,
    "failure after a retry": FAILING,
    "failure passed over": CONTINUED,
    "pause that holds all": HELD,
}


@pytest.fixture
def stage(stage):
    stage.on("add", lambda inputs, context: {"count": inputs["start"]["count"] + 1})
    stage.on("bad", NodeFailed("broken"))
    return stage


async def approve_all(engine):
    """Answer every pause there is until nothing waits any more."""
    await still(engine)
    while waiting := await engine.paused(limit=100):
        for view, _ in waiting:
            await engine.decide(view.run.id, APPROVE, {}, "ann", None)
        await still(engine)


async def ending(engine, run_id):
    """The run once all its pauses are approved, as what must not depend on crashes."""
    await approve_all(engine)
    view = await engine.get_run(run_id)
    tasks = {task.path: (task.status, task.outputs, task.error) for task in view.tasks}
    return view.run.status, view.run.message, tasks


async def cut(house, stage, engine, groups, *, lands):
    """Cut the power, and return how often each task had been run that is COMPLETED by then; None if all was over."""
    if not await Fuse(engine, groups, lands=lands).burn():
        return None
    await house.crash(engine)
    counts = stage.counts
    return {task_id: counts[task_id] for task_id in house.completed()}


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_run_ends_the_same_wherever_it_is_cut(house, stage, shape, lands):
    engine = await house.open()
    workflow_id = await save(engine, SHAPES[shape])
    expected = await ending(engine, (await engine.start(workflow_id, {"start": {"count": 0}})).run.id)
    for groups in count(1):
        run = await engine.start(workflow_id, {"start": {"count": 0}})
        done = await cut(house, stage, engine, groups, lands=lands)
        if done is None:
            break
        engine = await house.open()

        assert await ending(engine, run.run.id) == expected
        assert {task_id: stage.counts[task_id] for task_id in done} == done
        mine = {task: n for task, n in stage.counts.items() if task.startswith(run.run.id)}
        assert max(mine.values()) <= 2 + (shape == "failure after a retry")


@pytest.mark.parametrize("shape", ["loop", "pause in a loop", "diamond"])
async def test_a_run_ends_the_same_when_its_recovery_is_cut_too(house, stage, shape):
    engine = await house.open()
    workflow_id = await save(engine, SHAPES[shape])
    expected = await ending(engine, (await engine.start(workflow_id, {"start": {"count": 0}})).run.id)
    for groups in range(1, 5):
        run = await engine.start(workflow_id, {"start": {"count": 0}})
        for lands in (True, False, True):
            if await cut(house, stage, engine, groups, lands=lands) is not None:
                engine = await house.open()

        assert await ending(engine, run.run.id) == expected
        mine = {task: n for task, n in stage.counts.items() if task.startswith(run.run.id)}
        assert max(mine.values()) <= 1 + 3


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("shape", ["loop", "nested loops", "routed"])
async def test_a_run_ends_the_same_when_its_groups_are_written_in_parts(
    house, stage, monkeypatch, size, shape
):
    """What a turn of the runner changes may be more than one group holds."""
    monkeypatch.setattr(rowel.engine.runner, "GROUP_SIZE", size)
    engine = await house.open()
    workflow_id = await save(engine, SHAPES[shape])
    expected = await ending(engine, (await engine.start(workflow_id, {"start": {"count": 0}})).run.id)
    for groups in count(1, step=3):
        run = await engine.start(workflow_id, {"start": {"count": 0}})
        done = await cut(house, stage, engine, groups, lands=True)
        if done is None:
            break
        engine = await house.open()

        assert await ending(engine, run.run.id) == expected
        assert {task_id: stage.counts[task_id] for task_id in done} == done


async def test_a_body_whose_input_node_was_not_yet_written_gets_its_inputs_all_the_same(
    house, stage, monkeypatch
):
    monkeypatch.setattr(rowel.engine.runner, "GROUP_SIZE", 1)
    body = flow("constant>add start>add add>end", constant=static(x=1), end=output(count="add.count"))
    engine = await house.open()
    workflow_id = await save(engine, flow("start>loop", loop=loop(body, 3, **COUNTED)))
    for groups in count(1):
        run = await engine.start(workflow_id, {"start": {"count": 5}})
        if await cut(house, stage, engine, groups, lands=True) is None:
            break
        engine = await house.open()
        await still(engine)

        assert (await engine.get_run(run.run.id)).outputs["loop"] == {"count": 8}


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_child_runs_and_those_that_wait_for_them_recover(house, stage, lands):
    engine = await house.open()
    part = await save(engine, flow("start>a a>ask ask>b b>end", ask=human()), "part")
    workflow_id = await save(engine, flow("start>sub sub>c c>end", sub=child(part)))
    for groups in count(1):
        run = await engine.start(workflow_id, None)
        done = await cut(house, stage, engine, groups, lands=lands)
        if done is None:
            break
        engine = await house.open()
        await approve_all(engine)

        view = await engine.get_run(run.run.id)
        assert view.run.status is RunStatus.COMPLETED
        assert {task_id: stage.counts[task_id] for task_id in done} == done
        assert len(await engine.list_runs(Filter(parent_run_id=run.run.id), limit=10)) == 1


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_a_batch_has_one_record_for_each_row_wherever_it_is_cut(house, stage, lands):
    stage.on("a", lambda inputs, context: _odd(inputs["start"]["n"]))
    definition = flow("start>a a>b b>end a>end", start=given(n="int"), end=output(n="a.n"))
    engine = await house.open()
    workflow_id = await save(engine, definition)
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(6)))
    for groups in count(1, step=2):
        batch = await engine.start_batch(workflow_id, dataset.id, 3)
        done = await cut(house, stage, engine, groups, lands=lands)
        if done is None:
            break
        engine = await house.open()
        end = await rested(engine, batch.run.id)

        assert end.run.status is RunStatus.COMPLETED
        assert end.run.message == "5 of 6 rows completed, 1 failed."
        lines = (await text_of(engine, end.run.output_file_id)).splitlines()
        assert ["error" in line for line in lines] == [n == 4 for n in range(6)]
        assert {task_id: stage.counts[task_id] for task_id in done} == done
        rows = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
        assert sorted(row.run.row_index for row in rows) == list(range(6))


def _odd(n):
    return NodeFailed("odd one") if n == 4 else {"n": n}


@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_an_accepted_answer_is_never_lost_nor_applied_twice(house, stage, lands):
    engine = await house.open()
    workflow_id = await save(engine, flow("start>ask ask>a a>end", ask=human()))
    for groups in count(1):
        run = await engine.run(workflow_id, None)
        await engine.decide(run.run.id, APPROVE, {"n": groups}, "ann", None)
        done = await cut(house, stage, engine, groups, lands=lands)
        if done is None:
            break
        engine = await house.open()
        view = await rested(engine, run.run.id)

        assert view.run.status is RunStatus.COMPLETED
        assert view.outputs["ask"]["n"] == groups
        assert len(await engine.pause_history(run.run.id)) == 1


async def test_an_answer_that_came_while_the_run_went_to_rest_is_found_after_a_crash(
    house, stage, monkeypatch
):
    engine = await house.open()
    stage.hold("b")
    run = await engine.start(await save(engine, flow("start>ask ask>a start>b", ask=human())), None)
    await stage.begun("b")
    journal, has_rested = engine._house.journal, asyncio.Event()
    rest = journal.rest

    async def rest_after_the_answer(*arguments):
        await engine.decide(run.run.id, APPROVE, {}, "ann", None)
        await rest(*arguments)
        has_rested.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(journal, "rest", rest_after_the_answer)
    stage.let_go("b")
    await has_rested.wait()

    engine = await house.restart(engine)
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert stage.count("a") == 1


@pytest.mark.parametrize("action", [APPROVE, PauseAction.DECLINE])
async def test_why_a_run_will_fail_is_still_known_after_a_crash(house, stage, action):
    engine = await house.open()
    run = await engine.run(await save(engine, flow("start>bad start>ask ask>a", ask=human())), None)
    assert run.run.status is RunStatus.PAUSED

    engine = await house.restart(engine)
    await engine.decide(run.run.id, action, {}, "ann", None)
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.FAILED
    assert view.run.message == "Node 'bad' failed: broken"


async def test_who_declined_is_still_known_after_a_crash(house, stage):
    engine = await house.open()
    definition = flow("start>one start>two", one=human(), two=human())
    run = await engine.run(await save(engine, definition), None)
    await engine.decide(run.run.id, PauseAction.DECLINE, {}, "ann", "no", node_id="one")
    await still(engine)

    engine = await house.restart(engine)
    await engine.decide(run.run.id, PauseAction.DECLINE, {}, "bob", "never", node_id="two")

    assert (await rested(engine, run.run.id)).run.message == "Node 'one' was declined by ann: no"


async def test_a_start_that_was_accepted_is_found_again_though_nothing_of_it_ran(house, stage):
    engine = await house.open(slots=1)
    workflow_id = await save(engine, CHAIN)
    stage.hold("a")
    runs = [await engine.start(workflow_id, None) for _ in range(5)]
    await stage.begun("a")
    stage.let_go("a")

    engine = await house.restart(engine)
    await still(engine)

    for run in runs:
        assert (await engine.get_run(run.run.id)).run.status is RunStatus.COMPLETED


async def test_an_interrupted_node_runs_again_under_its_own_task_id(house, stage):
    engine = await house.open()
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")

    engine = await house.restart(engine)
    await stage.begun("a", times=2)
    stage.let_go("a")
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert [call.task_id for call in stage.calls[:2]] == [f"{run.run.id}.a"] * 2
    assert [call.attempt for call in stage.calls[:2]] == [1, 2]


async def test_a_node_that_may_run_at_most_once_fails_instead(house, stage):
    engine = await house.open()
    stage.hold("a")
    run = await engine.start(
        await save(engine, flow("start>a a>b start>c", a=work(on_interrupt="fail"))), None
    )
    await stage.begun("a")
    await stage.begun("c")

    engine = await house.restart(engine)
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.FAILED
    assert "'a'" in view.run.message
    assert "interrupted" in task_at(view, "a").error
    assert statuses(view)["b"] is TaskStatus.CANCELED
    assert stage.count("a") == 1


async def test_at_most_once_does_not_stand_in_the_way_of_nodes_that_were_not_interrupted(house, stage):
    engine = await house.open()
    stage.hold("a")
    definition = flow("start>a a>b", b=work(on_interrupt="fail"))
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("a")

    engine = await house.restart(engine)
    await stage.begun("a", times=2)
    stage.let_go("a")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_retries_go_on_where_they_were(house, stage):
    stage.on("bad", once(NodeFailed("broken"), then={"x": 1}))
    engine = await house.open()
    workflow_id = await save(engine, flow("start>bad", bad=work(retry={"attempts": 2, "backoff_s": 0})))
    run = await engine.start(workflow_id, None)
    await cut(house, stage, engine, 2, lands=True)

    engine = await house.open()

    assert (await rested(engine, run.run.id)).outputs["bad"] == {"x": 1}


async def crash_often(house, stage, engine, node, times):
    for attempt in range(1, times + 1):
        await stage.begun(node, times=attempt)
        engine = await house.restart(engine)
    return engine


async def test_a_run_that_ends_its_server_each_time_is_given_up_with_a_message(house, stage):
    engine = await house.open()
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    other = await engine.start(await save(engine, flow("start>c c>ask", ask=human())), None)

    engine = await crash_often(house, stage, engine, "a", MOST + 1)
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.FAILED
    assert f"{MOST} times" in view.run.message
    assert view.run.end_time is not None
    assert stage.count("a") == MOST + 1
    assert (await engine.get_run(other.run.id)).run.status is RunStatus.PAUSED


async def test_who_was_under_way_beside_a_run_that_ends_its_server_is_not_held_responsible(house, stage):
    engine = await house.open(Upkeep(recoveries=4, runs_each=0.01))
    stage.hold("slow", "killer")
    slow = await engine.start(await save(engine, flow("start>slow slow>end")), None)
    killer = await engine.start(await save(engine, flow("start>killer")), None)
    for life in (1, 2, 3):
        await stage.begun("slow", times=life)
        await stage.begun("killer", times=life)
        engine = await house.restart(engine)

    await stage.begun("slow", times=4)
    assert stage.count("killer") == 3
    stage.let_go("slow")
    await reaches(engine, slow.run.id, RunStatus.COMPLETED)
    for life in (4, 5):
        await stage.begun("killer", times=life)
        engine = await house.restart(engine)

    assert (await rested(engine, killer.run.id)).run.status is RunStatus.FAILED
    assert (await engine.get_run(slow.run.id)).run.status is RunStatus.COMPLETED
    assert (stage.count("slow"), stage.count("killer")) == (4, 5)


async def test_new_runs_go_on_beside_suspects(house, stage):
    engine = await house.open(SOON)
    stage.hold("a")
    workflow_id = await save(engine, flow("start>a"))
    await asyncio.gather(*(engine.start(workflow_id, None) for _ in range(3)))
    for life in (1, 2):
        await stage.begun("a", times=3 * life)
        engine = await house.restart(engine)
    await stage.begun("a", times=7)

    view = await engine.run(await save(engine, flow("start>b b>end")), None)

    assert view.run.status is RunStatus.COMPLETED
    assert stage.count("a") == 7


async def test_a_run_that_waits_for_a_child_hears_that_the_child_was_given_up(house, stage):
    engine = await house.open(SOON)
    stage.hold("a")
    part = await save(engine, flow("start>a a>end"), "part")
    run = await engine.start(
        await save(engine, flow("start>sub", sub=child(part, on_error="continue"))), None
    )
    engine = await crash_often(house, stage, engine, "a", FEW + 1)

    await still(engine)

    (part,) = await engine.list_runs(Filter(parent_run_id=run.run.id), limit=10)
    assert part.run.status is RunStatus.FAILED
    assert (await engine.get_run(run.run.id)).run.status.is_final


async def test_a_row_that_ends_its_server_each_time_fails_alone(house, stage):
    engine = await house.open(SOON)
    stage.hold("killer")
    definition = flow(
        "start>route route.bad>killer route.good>a",
        start=given(n="int"),
        route=router(bad=("start.n", 1), good=("start.n", 0)),
    )
    dataset = await upload(engine, "n\n1\n0\n0\n")
    batch = await engine.start_batch(await save(engine, definition), dataset.id, 1)

    engine = await crash_often(house, stage, engine, "killer", FEW + 1)
    view = await rested(engine, batch.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.message == "2 of 3 rows completed, 1 failed."
    assert f"{FEW} times" in (await text_of(engine, view.run.output_file_id)).splitlines()[0]


async def test_a_row_beside_one_that_ends_its_server_is_not_held_responsible(house, stage):
    engine = await house.open(Upkeep(recoveries=4))
    stage.hold("slow", "killer")
    definition = flow(
        "start>route route.slow>slow route.bad>killer",
        start=given(n="int"),
        route=router(slow=("start.n", 0), bad=("start.n", 1)),
    )
    dataset = await upload(engine, "n\n0\n1\n")
    batch = await engine.start_batch(await save(engine, definition), dataset.id, 2)
    for life in (1, 2, 3):
        await stage.begun("slow", times=life)
        await stage.begun("killer", times=life)
        engine = await house.restart(engine)

    await stage.begun("slow", times=4)
    assert stage.count("killer") == 3
    stage.let_go("slow")
    for life in (4, 5):
        await stage.begun("killer", times=life)
        engine = await house.restart(engine)

    view = await rested(engine, batch.run.id)
    assert view.run.message == "1 of 2 rows completed, 1 failed."
    assert (stage.count("slow"), stage.count("killer")) == (4, 5)


async def test_rows_that_wait_for_people_end_with_a_batch_that_is_given_up(house, stage, monkeypatch):
    """The second reading of the dataset ends the server each time."""
    readings = asyncio.Queue()

    async def first_row_only(*arguments, start, **options):
        readings.put_nowait(start)
        if start == 0:
            yield [Row(0, {"n": "1"})]
        await asyncio.Event().wait()

    monkeypatch.setattr(rowel.engine.rows, "rows", first_row_only)
    engine = await house.open(SOON)
    dataset = await upload(engine, "n\n1\n2\n")
    definition = flow("start>ask ask>a", ask=human())
    batch = await engine.start_batch(await save(engine, definition), dataset.id, 1)
    async with asyncio.timeout(20):
        while not await engine.paused(limit=1):  # noqa: ASYNC110  # rows tell nobody but their batch
            await asyncio.sleep(0.001)
    for _ in range(FEW + 1):
        assert await asyncio.wait_for(readings.get(), 20) in (0, 1)
        engine = await house.restart(engine)

    view = await rested(engine, batch.run.id)

    assert view.run.status is RunStatus.FAILED
    (row,) = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=10)
    assert row.run.status is RunStatus.CANCELED
    assert await engine.paused(limit=10) == []


async def test_a_run_that_makes_progress_may_be_taken_up_as_often_as_it_takes(house, stage):
    engine = await house.open(SOON)
    stage.hold("add")
    run = await engine.start(
        await save(engine, flow("start>loop", loop=loop(BODY, FEW + 5, **COUNTED))),
        {"start": {"count": 0}},
    )
    for number in range(FEW + 4):
        await stage.begun("add", times=2 * number + 1)
        engine = await house.restart(engine)
        await stage.begun("add", times=2 * number + 2)
        stage.let_go("add")
        stage.hold("add")
    await stage.begun("add", times=2 * FEW + 9)
    stage.let_go("add")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_a_pause_counts_the_recoveries_anew(house, stage):
    engine = await house.open()
    stage.hold("a")
    definition = flow("start>a a>ask ask>b", ask=human())
    run = await engine.start(await save(engine, definition), None)
    engine = await crash_often(house, stage, engine, "a", 3)
    await stage.begun("a", times=4)
    stage.let_go("a")

    assert (await rested(engine, run.run.id)).run.recoveries == 0


async def test_a_run_whose_mover_broke_is_taken_up_at_the_next_look(engine, stage, monkeypatch, caplog):
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")

    async def broken(*arguments, **options):
        raise RuntimeError("the mover broke")

    with monkeypatch.context() as patch:
        patch.setattr(engine._house.journal, "advance", broken)
        stage.let_go("a")
        await still(engine)
    assert "could not be moved" in caplog.text
    assert (await engine.get_run(run.run.id)).run.status is RunStatus.RUNNING

    await engine._timers.take_up_runs()

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_a_look_leaves_runs_alone_that_move(engine, stage):
    stage.hold("a")
    run = await engine.start(await save(engine, CHAIN), None)
    await stage.begun("a")

    await engine._timers.take_up_runs()
    stage.let_go("a")
    view = await rested(engine, run.run.id)

    assert view.run.epoch == 1
    assert stage.count("a") == 1


async def test_a_row_whose_mover_broke_is_tried_again(engine, stage, monkeypatch, caplog):
    dataset = await upload(engine, "n\n1\n2\n")
    stage.hold("a")
    batch = await engine.start_batch(await save(engine, CHAIN), dataset.id)
    await stage.begun("a", times=2)
    journal, broken = engine._house.journal, []
    advance = journal.advance

    async def breaks_once(*arguments, **options):
        if not broken:
            broken.append(True)
            raise RuntimeError("the mover broke")
        return await advance(*arguments, **options)

    monkeypatch.setattr(journal, "advance", breaks_once)
    stage.let_go("a")
    end = await rested(engine, batch.run.id)

    assert "tried again" in caplog.text
    assert end.batch.completed == 2


async def test_whoever_takes_a_run_over_fences_off_its_former_owner(house, stage):
    """The first engine is not dead, it only seemed to be: what it writes late does not land."""
    zombie = await house.open()
    stage.hold("a")
    run = await zombie.start(await save(zombie, CHAIN), None)
    await stage.begun("a")
    house.take_locks_from(zombie)
    stage.on("a", {"by": "the new one"})

    engine = await house.open()
    await stage.begun("a", times=2)
    stage.let_go("a")
    await still(engine)
    await still(zombie)
    view = await engine.get_run(run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.epoch == 2
    assert task_at(view, "a").attempt == 2
    assert stage.count("b") == stage.count("c") == 1
