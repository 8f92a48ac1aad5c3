"""Many runs at once, and large graphs."""

import asyncio
from itertools import pairwise

import pytest

from rowel.core.errors import Busy, NodeFailed
from rowel.core.status import PauseAction, RunStatus
from rowel.store.runs import Filter
from tests.support.definitions import chain, node, workflow
from tests.support.flows import flow, human, loop, static, work
from tests.support.house import save, started_and_rested, still, task_at, upload


async def test_sixteen_tasks_that_start_five_hundred_runs_at_once_see_them_all_end(engine, stage):
    stage.on("a", lambda inputs, context: NodeFailed("odd") if inputs["start"]["n"] % 5 == 0 else {"x": 1})
    workflow_id = await save(engine, flow("start>a a>end"))
    numbers = iter(range(500))

    async def start_some():
        return [(n, await engine.start(workflow_id, {"start": {"n": n}})) for n in numbers]

    started = [pair for some in await asyncio.gather(*(start_some() for _ in range(16))) for pair in some]
    await still(engine)

    listed = await engine.list_runs(Filter(workflow_id=workflow_id), limit=1000)
    ends = {view.run.id: view.run.status for view in listed}
    assert len(started) == len(ends) == 500
    for n, view in started:
        assert ends[view.run.id] is (RunStatus.FAILED if n % 5 == 0 else RunStatus.COMPLETED)
    assert set(stage.counts.values()) == {1}


async def test_blocking_runs_side_by_side_each_get_their_own_outputs(engine, stage):
    stage.on("a", lambda inputs, context: {"n": inputs["start"]["n"]})
    workflow_id = await save(engine, flow("start>a a>end"))

    views = await asyncio.gather(*(engine.run(workflow_id, {"start": {"n": n}}) for n in range(100)))

    assert [view.outputs["end"] for view in views] == [{"a": {"n": n}} for n in range(100)]


@pytest.mark.parametrize("slots", [1, 4])
async def test_no_more_runs_move_than_there_are_slots(house, stage, slots):
    engine = await house.open(slots=slots)
    workflow_id = await save(engine, flow("start>a"))

    for _ in range(30):
        await engine.start(workflow_id, None)
    await still(engine)

    assert stage.most <= slots
    assert stage.count("a") == 30


async def test_waiting_runs_begin_in_the_order_they_came(house, stage):
    engine = await house.open(slots=1)
    workflow_id = await save(engine, flow("start>a"))
    runs = [(await engine.start(workflow_id, None)).run.id for _ in range(10)]

    await still(engine)

    assert [call.task_id for call in stage.calls] == [f"{run_id}.a" for run_id in runs]


async def test_beyond_the_queues_limit_starts_are_refused_and_leave_no_run(house, stage):
    engine = await house.open(slots=1, queue=3)
    workflow_id = await save(engine, flow("start>a"))
    dataset = await upload(engine, "n\n1\n")
    stage.hold("a")
    await engine.start(workflow_id, None)
    await stage.begun("a")
    for _ in range(3):
        await engine.start(workflow_id, None)

    for begin in (
        engine.start(workflow_id, None),
        engine.run(workflow_id, None),
        engine.run_partial(workflow_id, "a"),
        engine.start_batch(workflow_id, dataset.id),
    ):
        with pytest.raises(Busy, match="3 runs are queued"):
            await begin

    assert len(await engine.list_runs(Filter(workflow_id=workflow_id), limit=10)) == 4
    stage.let_go("a")
    await still(engine)
    assert (await engine.run(workflow_id, None)).run.status is RunStatus.COMPLETED


async def test_paused_runs_hold_no_slot(house):
    engine = await house.open(slots=1)
    workflow_id = await save(engine, flow("start>ask ask>a", ask=human()))
    runs = [(await engine.run(workflow_id, None)).run.id for _ in range(5)]

    await asyncio.gather(*(engine.decide(run_id, PauseAction.APPROVE, {}, "ann", None) for run_id in runs))
    await still(engine)

    assert {(await engine.get_run(run_id)).run.status for run_id in runs} == {RunStatus.COMPLETED}


async def test_a_blocking_run_gives_up_waiting_after_its_time_and_the_run_goes_on(engine, stage):
    stage.hold("a")
    workflow_id = await save(engine, flow("start>a"))
    waiting = asyncio.ensure_future(engine.run(workflow_id, None, timeout_s=0.05))

    view = await waiting
    assert view.run.status is RunStatus.RUNNING
    stage.let_go("a")
    await still(engine)

    assert (await engine.get_run(view.run.id)).run.status is RunStatus.COMPLETED


async def test_a_client_that_leaves_does_not_stop_its_run(engine, stage):
    stage.hold("a")
    workflow_id = await save(engine, flow("start>a a>end"))
    waiting = asyncio.ensure_future(engine.run(workflow_id, None))
    await stage.begun("a")

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    stage.let_go("a")
    await still(engine)

    (view,) = await engine.list_runs(Filter(workflow_id=workflow_id), limit=10)
    assert view.run.status is RunStatus.COMPLETED
    assert stage.interrupted == []


async def test_a_graph_of_ten_thousand_nodes_runs(engine):
    ids = [f"n{number}" for number in range(9_998)]
    definition = workflow(
        node("start", "InputNode"),
        *(node(node_id, "StaticValueNode", config={"values": {"x": 1}}) for node_id in ids),
        node("end", "OutputNode", config={"output_map": {"last": f"{ids[-1]}.x"}}),
        links=[{"source_id": "start", "target_id": node_id} for node_id in ids]
        + [{"source_id": node_id, "target_id": "end"} for node_id in ids],
    )

    view = await started_and_rested(engine, definition)

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["end"] == {"last": 1}
    assert len(view.outputs) == 10_000
    assert view.percentage_complete == 100


async def test_a_thousand_nodes_with_effects_run_side_by_side(engine, stage):
    ids = [f"n{number}" for number in range(1_000)]
    stage.hold(*ids)
    definition = workflow(
        node("start", "InputNode"),
        *(node(node_id, "Work") for node_id in ids),
        links=[{"source_id": "start", "target_id": node_id} for node_id in ids],
    )
    run = await engine.start(await save(engine, definition), None)
    await stage.begun(ids[-1])
    assert stage.most == 1_000
    stage.let_go(*ids)
    await still(engine)

    assert (await engine.get_run(run.run.id)).run.status is RunStatus.COMPLETED


async def test_a_chain_of_three_thousand_nodes_runs(engine, stage):
    ids = [f"n{number}" for number in range(2_998)]
    definition = workflow(
        node("start", "InputNode"),
        *(node(node_id, "Work") for node_id in ids),
        node("end", "OutputNode"),
        links=chain("start", *ids, "end"),
    )

    view = await started_and_rested(engine, definition)

    assert view.run.status is RunStatus.COMPLETED
    assert len(view.outputs) == 3_000
    assert [call.node_id for call in stage.calls] == ids


async def test_a_chain_of_three_thousand_nodes_fails_from_end_to_end(engine, stage):
    ids = [f"n{number}" for number in range(2_998)]
    stage.on("n0", NodeFailed("broken"))
    definition = workflow(
        node("start", "InputNode"), *(node(node_id, "Work") for node_id in ids), links=chain("start", *ids)
    )

    view = await started_and_rested(engine, definition)

    assert view.run.status is RunStatus.FAILED
    assert {task.status for task in view.tasks[2:]} == {"CANCELED"}


async def test_a_lattice_with_more_paths_than_could_be_walked_runs(engine, stage):
    """Forty layers of two nodes: 2^40 ways from one end to the other."""
    layers = [[f"a{n}", f"b{n}"] for n in range(40)]
    pairs = [(s, t) for here, after in pairwise(layers) for s in here for t in after]
    definition = workflow(
        node("start", "InputNode"),
        *(node(node_id, "Work") for layer in layers for node_id in layer),
        links=[{"source_id": s, "target_id": t} for s, t in [("start", "a0"), ("start", "b0"), *pairs]],
    )

    view = await started_and_rested(engine, definition)

    assert view.run.status is RunStatus.COMPLETED
    assert set(stage.counts.values()) == {1}


async def test_containers_may_lie_eight_deep(engine, stage):
    body = flow("start>a a>end")
    for _ in range(8):
        body = flow("start>loop loop>end", loop=loop(body, 1))

    view = await started_and_rested(engine, body)

    assert view.run.status is RunStatus.COMPLETED
    assert task_at(view, "loop.0." * 8 + "a").status == "COMPLETED"


async def test_values_of_a_megabyte_pass_through(engine, stage):
    big = "x" * 1_000_000
    definition = flow("start>one one>a a>end", one=static(big=big), a=work())

    view = await started_and_rested(engine, definition)

    assert view.outputs["one"] == {"big": big}
    assert stage.calls[0].inputs == {"one": {"big": big}}
