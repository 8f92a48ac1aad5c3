"""Random workflows end as the naive rule of planning says, whether or not the power is cut on the way."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rowel.engine.runner
from rowel.core.status import PauseAction
from tests.support.house import Fuse, save, statuses, still
from tests.support.plays import Play, plays

#: The engine and the stage are shared by all examples: each has a workflow and a run of its own.
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def rehearse(stage, play: Play) -> None:
    for node_id, act in play.acts.items():
        stage.on(node_id, act)


async def answer_all(engine, run_id: str, play: Play) -> None:
    """Answer the run's pauses, the oldest first, until it has ended."""
    await still(engine)
    while not (view := await engine.get_run(run_id)).run.status.is_final:
        waiting = [pause for pause in reversed(await engine.pause_history(run_id)) if pause.is_open]
        assert waiting, f"the run is {view.run.status} and nothing moves it: {statuses(view)}"
        action: PauseAction = play.action(waiting[0].path)
        await engine.decide(run_id, action, {"x": 1}, "ann", None, node_id=waiting[0].path)
        await still(engine)


@settings(max_examples=120, suppress_health_check=SHARED)
@given(play=plays())
async def test_a_run_ends_as_the_rule_says(engine, stage, play):
    rehearse(stage, play)
    workflow_id = await save(engine, play.definition)
    run = await engine.start(workflow_id, None)

    await answer_all(engine, run.run.id, play)

    view = await engine.get_run(run.run.id)
    assert (view.run.status, statuses(view)) == play.ending(view.program.graph)
    mine = [times for task, times in stage.counts.items() if task.startswith(run.run.id)]
    assert set(mine) <= {1}


@settings(max_examples=80, suppress_health_check=SHARED)
@given(
    play=plays(),
    cuts=st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1, max_size=3),
    size=st.sampled_from([1, 3, rowel.engine.runner.GROUP_SIZE]),
)
async def test_a_run_that_is_cut_off_ends_as_the_rule_says_too(house, stage, monkeypatch, play, cuts, size):
    monkeypatch.setattr(rowel.engine.runner, "GROUP_SIZE", size)
    rehearse(stage, play)
    engine = house.engine or await house.open()
    workflow_id = await save(engine, play.definition)
    run = await engine.start(workflow_id, None)
    done: dict[str, int] = {}
    blown = 0
    for groups, lands in cuts:
        if await Fuse(engine, groups, lands=lands).burn():
            blown += 1
            await house.crash(engine)
            done = {task: stage.counts[task] for task in house.completed()}
            engine = await house.open()

    await answer_all(engine, run.run.id, play)

    view = await engine.get_run(run.run.id)
    assert (view.run.status, statuses(view)) == play.ending(view.program.graph)
    assert {task: stage.counts[task] for task in done} == done
    mine = [times for task, times in stage.counts.items() if task.startswith(run.run.id)]
    assert max(mine, default=0) <= 1 + blown
