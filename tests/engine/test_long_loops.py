"""Loops whose history is long: it is handed on whole, and kept with no task."""

from itertools import count

import pytest

import rowel.core.iterations
from rowel.core.status import PauseAction, RunStatus
from tests.support.flows import flow, human, loop, merge, output, static
from tests.support.house import Fuse, rested, save, started_and_rested, task_at

COUNTED = {"input_map": {"count": "start.count"}}
#: `see` gets the history by way of a node that passes all on.
BODY = flow("start>pack pack>see see>end", pack=merge(), end=output(count="see.count"))
LOOPED = flow("start>loop", loop=loop(BODY, 4, **COUNTED))
#: The bodies inside get the history of the loop around them, too.
INNER = flow("start>see see>end", end=output(count="see.count"))
OUTER = flow("start>inner inner>end", inner=loop(INNER, 2), end=output(count="inner.count"))
NESTED = flow("start>outer", outer=loop(OUTER, 3, **COUNTED))


@pytest.fixture(autouse=True)
def nothing_is_brief(monkeypatch):
    monkeypatch.setattr(rowel.core.iterations, "BRIEF", -1)


def count_from(start):
    """The count that this body got, wherever its loop found it."""
    return start["count"] if "count" in start else start["start"]["count"]


def sees(inputs, context):
    """Tells how many outputs of `see` there were before, in each loop around."""
    start = inputs["pack"]["start"] if "pack" in inputs else inputs["start"]
    histories = [start["loop_history"], start.get("start", {}).get("loop_history", {})]
    seen = [[one["count"] for one in history.get("see", history.get("inner", []))] for history in histories]
    return {"count": count_from(start) + 1, "seen": seen}


@pytest.fixture
def stage(stage):
    stage.on("see", sees)
    return stage


async def ending(engine, run_id):
    view = await rested(engine, run_id)
    return view.run.status, {task.path: (task.status, task.inputs, task.outputs) for task in view.tasks}


async def test_each_iteration_sees_all_those_before(engine):
    view = await started_and_rested(engine, LOOPED, {"start": {"count": 0}})

    assert task_at(view, "loop.3.see").outputs["seen"][0] == [1, 2, 3]


async def test_no_task_holds_the_history_again(engine):
    view = await started_and_rested(engine, LOOPED, {"start": {"count": 0}})

    reference = {"$before": "loop.3"}
    assert task_at(view, "loop.3.start").inputs == {"count": 3, "loop_history": reference}
    assert task_at(view, "loop.3.start").outputs == {"count": 3, "loop_history": reference}
    assert task_at(view, "loop.3.see").inputs["pack"]["start"]["loop_history"] == reference


@pytest.mark.parametrize("definition", [LOOPED, NESTED], ids=["loop", "nested loops"])
@pytest.mark.parametrize("lands", [True, False], ids=["landed", "lost"])
async def test_the_history_is_the_same_wherever_the_run_is_cut(house, definition, lands):
    engine = await house.open()
    workflow_id = await save(engine, definition)
    expected = await ending(engine, (await engine.start(workflow_id, {"start": {"count": 0}})).run.id)
    for groups in count(1, 2):
        run = await engine.start(workflow_id, {"start": {"count": 0}})
        if not await Fuse(engine, groups, lands=lands).burn():
            break
        await house.crash(engine)
        engine = await house.open()

        assert await ending(engine, run.run.id) == expected


async def test_what_a_person_lets_pass_holds_the_history_for_those_behind(house, stage):
    body = flow("start>ask ask>see see>end", ask=human(), end=output(count="see.count"))
    stage.on("see", lambda inputs, context: {"count": len(inputs["ask"]["start"]["loop_history"])})
    engine = await house.open()
    workflow_id = await save(engine, flow("start>loop", loop=loop(body, 2, **COUNTED)))
    run = await engine.start(workflow_id, {"start": {"count": 0}})
    for _ in range(2):
        await rested(engine, run.run.id)
        engine = await house.restart(engine)
        await engine.decide(run.run.id, PauseAction.APPROVE, {}, "ann", None)

    view = await rested(engine, run.run.id)
    assert view.outputs["loop"] == {"count": 4}


async def test_an_output_map_hands_the_history_out_whole(engine):
    definition = flow(
        "start>loop", loop=loop(BODY, 3, **COUNTED, output_map={"all": "start.loop_history.see"})
    )

    view = await started_and_rested(engine, definition, {"start": {"count": 0}})

    assert [one["count"] for one in view.outputs["loop"]["all"]] == [1, 2]


async def test_a_history_larger_than_an_output_may_be_breaks_no_loop(engine, monkeypatch):
    monkeypatch.setattr("rowel.engine.execute.MAX_OUTPUT", 1000)
    body = flow("start>one one>end", one=static(text="x" * 300), end=output(text="one.text"))

    view = await started_and_rested(engine, flow("start>loop", loop=loop(body, 20)))

    assert view.run.status is RunStatus.COMPLETED
