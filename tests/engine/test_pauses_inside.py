"""Pauses in loops, in subworkflows, in rows of a batch, and in children of rows."""

import json

import pytest

from rowel.core.status import PauseAction, RunStatus, TaskStatus
from rowel.store.runs import Filter
from tests.support.flows import child, flow, human, inline, loop, output
from tests.support.house import reaches, rested, save, statuses, still, task_at, text_of, upload

APPROVE, DECLINE = PauseAction.APPROVE, PauseAction.DECLINE
COMPLETED, CANCELED, PAUSED = TaskStatus.COMPLETED, TaskStatus.CANCELED, TaskStatus.PAUSED
BODY = flow("start>a a>ask ask>b b>end", ask=human())


async def test_a_pause_in_a_loop_pauses_the_loop_and_the_run(engine):
    view = await engine.run(await save(engine, flow("start>loop loop>end", loop=loop(BODY, 2))), None)

    assert view.run.status is RunStatus.PAUSED
    assert task_at(view, "loop").status is PAUSED
    assert task_at(view, "loop.0.ask").status is PAUSED
    (pause,) = await engine.pause_history(view.run.id)
    assert pause.node_id == "ask"


async def test_each_iteration_asks_anew(engine, stage):
    run = await engine.run(await save(engine, flow("start>loop loop>end", loop=loop(BODY, 3))), None)
    for number in range(3):
        assert task_at(await engine.get_run(run.run.id), f"loop.{number}.ask").status is PAUSED
        await engine.decide(run.run.id, APPROVE, {"n": number}, "ann", None)
        view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert [outputs["n"] for outputs in view.body_outputs(task_at(view, "loop"))["ask"]] == [0, 1, 2]
    assert stage.count("a") == stage.count("b") == 3


async def test_declining_in_a_loop_cancels_the_loop_and_the_run(engine):
    run = await engine.run(await save(engine, flow("start>loop loop>end", loop=loop(BODY, 2))), None)

    await engine.decide(run.run.id, DECLINE, {}, "ann", "enough")
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.CANCELED
    assert view.run.message == "Node 'ask' was declined by ann: enough"
    assert task_at(view, "loop.0.b").status is task_at(view, "loop").status is CANCELED
    assert statuses(view)["end"] is CANCELED


@pytest.mark.parametrize("name", ["ask", "loop.0.ask"])
async def test_a_pause_in_a_loop_can_be_named(engine, name):
    definition = flow("start>first start>loop", first=human(), loop=loop(BODY, 1))
    run = await engine.run(await save(engine, definition), None)

    await engine.decide(run.run.id, APPROVE, {}, "ann", None, node_id=name)
    view = await rested(engine, run.run.id)

    assert (statuses(view)["first"], statuses(view)["loop"]) == (PAUSED, COMPLETED)


async def test_two_pauses_in_one_body(engine):
    body = flow("start>one start>two one>end two>end", one=human(), two=human())
    run = await engine.run(await save(engine, flow("start>loop", loop=loop(body, 1))), None)

    await engine.decide(run.run.id, APPROVE, {}, "ann", None, node_id="two")
    view = await rested(engine, run.run.id)
    assert view.run.status is RunStatus.PAUSED
    assert task_at(view, "loop").status is PAUSED
    await engine.decide(run.run.id, APPROVE, {}, "ann", None)

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def test_a_pause_in_nested_loops_survives_a_crash(house, stage):
    engine = await house.open()
    outer = flow("start>inner inner>end", inner=loop(BODY, 2))
    run = await engine.run(await save(engine, flow("start>outer outer>end", outer=loop(outer, 2))), None)
    for _ in range(4):
        engine = await house.restart(engine)
        await engine.decide(run.run.id, APPROVE, {}, "ann", None)
        view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.COMPLETED
    assert set(stage.counts.values()) == {1}
    assert (stage.count("a"), stage.count("b")) == (4, 4)


async def test_branches_of_the_run_go_on_beside_a_paused_loop(engine, stage):
    stage.hold("c")
    definition = flow("start>loop loop>end start>c c>d", loop=loop(BODY, 1))
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("c")

    seen = await reaches(engine, run.run.id, RunStatus.RUNNING)
    assert seen.run.status is RunStatus.RUNNING
    stage.let_go("c")
    view = await reaches(engine, run.run.id, RunStatus.PAUSED)

    assert statuses(view)["d"] is COMPLETED


async def test_an_answered_loop_works_again_though_another_branch_kept_the_run_moving(engine, stage):
    stage.hold("b", "c")
    run = await engine.start(await save(engine, flow("start>loop loop>d start>c", loop=loop(BODY, 1))), None)
    await stage.begun("c")
    async for event in engine.events(run.run.id):
        if event.kind == "task" and (event.body["node_id"], event.body["status"]) == ("loop", "PAUSED"):
            break

    await engine.decide(run.run.id, APPROVE, {}, "ann", None)
    await stage.begun("b")
    assert task_at(await engine.get_run(run.run.id), "loop").status is TaskStatus.RUNNING
    stage.let_go("c")
    async for event in engine.events(run.run.id):
        if event.kind == "task" and (event.body["node_id"], event.body["status"]) == ("c", "COMPLETED"):
            break
    assert (await engine.get_run(run.run.id)).run.status is RunStatus.RUNNING
    stage.let_go("b")

    end = await rested(engine, run.run.id)
    assert end.run.status is RunStatus.COMPLETED
    assert statuses(end)["d"] is COMPLETED


async def test_what_was_done_in_a_loop_is_not_done_again_behind_a_pause_that_holds_all(house, stage):
    """The loop waits for a person when another pause begins to hold back all that has not started."""
    stage.hold("slow")
    definition = flow(
        "start>loop loop>c start>slow slow>wait",
        loop=loop(BODY, 1),
        wait=human(block_only_dependent_nodes=False),
    )
    engine = await house.open()
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("a")
    await stage.begun("slow")
    stage.let_go("slow")
    await reaches(engine, run.run.id, RunStatus.PAUSED)

    engine = await house.restart(engine)
    await engine.decide(run.run.id, APPROVE, {}, "ann", None, node_id="ask")
    view = await rested(engine, run.run.id)
    assert task_at(view, "loop.0.b").status is COMPLETED
    await engine.decide(run.run.id, APPROVE, {}, "ann", None, node_id="wait")

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED
    assert set(stage.counts.values()) == {1}


async def test_a_node_that_was_running_when_all_was_held_runs_on_after_a_crash(house, stage):
    stage.hold("slow", "ready")
    definition = flow(
        "start>slow slow>c start>ready ready>wait", wait=human(block_only_dependent_nodes=False)
    )
    engine = await house.open()
    run = await engine.start(await save(engine, definition), None)
    await stage.begun("slow")
    stage.let_go("ready")
    async for event in engine.events(run.run.id):
        if event.kind == "pause":
            break

    engine = await house.restart(engine)
    await stage.begun("slow", times=2)
    stage.let_go("slow")
    view = await rested(engine, run.run.id)

    assert view.run.status is RunStatus.PAUSED
    assert (statuses(view)["slow"], statuses(view)["c"]) == (COMPLETED, TaskStatus.PENDING)


async def test_a_pause_in_a_subworkflow(engine):
    run = await engine.run(await save(engine, flow("start>sub sub>end", sub=inline(BODY))), None)

    await engine.decide(run.run.id, APPROVE, {}, "ann", None)

    assert (await rested(engine, run.run.id)).run.status is RunStatus.COMPLETED


async def rows_of(engine, batch):
    found = await engine.list_runs(Filter(parent_run_id=batch.run.id), limit=100)
    return sorted(found, key=lambda view: view.run.row_index)


async def asked_batch(engine, definition, rows=3):
    """A batch that rests with all its rows waiting."""
    dataset = await upload(engine, "n\n" + "".join(f"{n}\n" for n in range(rows)))
    batch = await engine.start_batch(await save(engine, definition), dataset.id)
    return await rested(engine, batch.run.id)


async def test_paused_rows_make_the_batch_paused_once_all_others_are_done(engine):
    batch = await asked_batch(engine, flow("start>ask ask>end", ask=human()))

    assert batch.run.status is RunStatus.PAUSED
    assert batch.batch.paused == 3
    assert batch.run.end_time is None
    assert {view.run.status for view in await rows_of(engine, batch)} == {RunStatus.PAUSED}


async def test_a_batch_is_completed_when_all_its_paused_rows_have_ended(engine):
    batch = await asked_batch(engine, flow("start>ask ask>end", ask=human(), end=output(n="ask.n")))
    actions = (APPROVE, DECLINE, APPROVE)

    for row, action in zip(await rows_of(engine, batch), actions, strict=True):
        assert (await engine.get_run(batch.run.id)).run.status is RunStatus.PAUSED
        await engine.decide(row.run.id, action, {"n": row.run.row_index}, "ann", None)
        end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.run.message == "2 of 3 rows completed, 1 canceled."
    lines = [json.loads(line) for line in (await text_of(engine, end.run.output_file_id)).splitlines()]
    assert [line.get("end") for line in lines] == [{"n": 0}, None, {"n": 2}]
    assert "declined by ann" in lines[1]["error"]


async def test_a_batch_is_running_again_while_a_row_of_it_moves(engine, stage):
    stage.hold("a")
    batch = await asked_batch(engine, flow("start>ask ask>a", ask=human()), rows=2)
    row = (await rows_of(engine, batch))[0]

    await engine.decide(row.run.id, APPROVE, {}, "ann", None)
    await stage.begun("a")

    assert (await reaches(engine, batch.run.id, RunStatus.RUNNING)).run.status is RunStatus.RUNNING
    stage.let_go("a")
    assert (await rested(engine, batch.run.id)).run.status is RunStatus.PAUSED


async def test_an_answered_row_goes_on_while_another_branch_of_it_runs(engine, stage):
    stage.hold("b")
    dataset = await upload(engine, "n\n1\n")
    definition = flow("start>ask ask>a start>b", ask=human())
    batch = await engine.start_batch(await save(engine, definition), dataset.id)
    await stage.begun("b")
    (row,) = await rows_of(engine, batch)

    await engine.decide(row.run.id, APPROVE, {}, "ann", None)
    await stage.begun("a")
    stage.let_go("b")

    assert (await rested(engine, batch.run.id)).run.status is RunStatus.COMPLETED


async def test_answered_rows_go_on_within_the_window_of_their_batch(engine, stage):
    dataset = await upload(engine, "n\n" + "1\n" * 6)
    definition = flow("start>ask ask>a", ask=human())
    batch = await engine.start_batch(await save(engine, definition), dataset.id, 2)
    await still(engine)
    stage.hold("a")
    rows = await rows_of(engine, batch)
    assert len(rows) == 6

    for row in rows:
        await engine.decide(row.run.id, APPROVE, {}, "ann", None)
    await stage.begun("a", times=2)
    stage.let_go("a")
    end = await rested(engine, batch.run.id)

    assert end.batch.completed == 6
    assert stage.most == 2


async def test_paused_rows_can_be_answered_after_a_crash(house):
    engine = await house.open()
    batch = await asked_batch(engine, flow("start>ask ask>end", ask=human()))
    engine = await house.restart(engine)

    for row in await rows_of(engine, batch):
        await engine.decide(row.run.id, APPROVE, {}, "ann", None)
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.batch.completed == 3


async def test_a_pause_in_a_child_of_a_row(engine):
    part = await save(engine, flow("start>ask ask>end", ask=human()), "part")
    batch = await asked_batch(engine, flow("start>sub sub>end", sub=child(part)), rows=2)
    assert batch.run.status is RunStatus.PAUSED
    assert batch.batch.paused == 2

    for row in await rows_of(engine, batch):
        (asking,) = await engine.list_runs(Filter(parent_run_id=row.run.id), limit=10)
        await engine.decide(asking.run.id, APPROVE, {"x": row.run.row_index}, "ann", None)
        end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.COMPLETED
    lines = [json.loads(line) for line in (await text_of(engine, end.run.output_file_id)).splitlines()]
    assert [line["end"]["sub"]["ask"]["x"] for line in lines] == [0, 1]


async def test_canceling_a_child_of_a_row_ends_the_row_and_lets_the_batch_go_on(engine):
    part = await save(engine, flow("start>ask ask>end", ask=human()), "part")
    batch = await asked_batch(engine, flow("start>sub sub>end", sub=child(part)), rows=1)
    (row,) = await rows_of(engine, batch)
    (asking,) = await engine.list_runs(Filter(parent_run_id=row.run.id), limit=10)

    await engine.cancel(asking.run.id)
    end = await rested(engine, batch.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.run.message == "0 of 1 rows completed, 1 canceled."
