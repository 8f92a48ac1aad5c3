"""Running one node with what it needs, and given outputs for the rest."""

import pytest

from rowel.core.errors import Invalid, InvalidInputs, NotFound
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus
from rowel.store.runs import Filter
from tests.support.flows import (
    coalesce,
    flow,
    given,
    human,
    inline,
    loop,
    merge,
    output,
    router,
    static,
    work,
)
from tests.support.house import Fuse, rested, save, statuses, task_at

DIAMOND = flow("start>a start>b a>join b>join join>end", join=merge())


async def run(engine, definition, node_id, inputs=None, outputs=None):
    return await engine.run_partial(await save(engine, definition), node_id, inputs, outputs)


async def test_the_node_and_its_ancestors_run_and_nothing_behind_it(engine, stage):
    view = await run(engine, DIAMOND, "a")

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs == {"start": {}, "a": {"by": "a"}}
    assert stage.count("b") == 0
    assert [task.node_id for task in view.tasks] == ["start", "a"]


async def test_ancestors_with_given_outputs_do_not_run(engine, stage):
    view = await run(engine, DIAMOND, "join", None, {"a": {"given": 1}})

    assert view.outputs == {
        "start": {},
        "a": {"given": 1},
        "b": {"by": "b"},
        "join": {"a": {"given": 1}, "b": {"by": "b"}},
    }
    assert (stage.count("a"), stage.count("b")) == (0, 1)


async def test_what_lies_behind_given_outputs_does_not_run_either(engine, stage):
    view = await run(engine, flow("start>a a>b b>c c>end"), "c", None, {"b": {"x": 1}})

    assert view.outputs.keys() == {"b", "c"}
    assert stage.calls[0].inputs == {"b": {"x": 1}}
    assert stage.count("a") == 0


async def test_an_input_node_that_does_not_run_needs_no_inputs(engine):
    definition = flow("start>a a>b", start=given(name="string"))

    view = await run(engine, definition, "b", None, {"a": {"x": 1}})

    assert view.run.status is RunStatus.COMPLETED


async def test_an_input_node_that_runs_needs_them(engine):
    with pytest.raises(InvalidInputs, match="name"):
        await run(engine, flow("start>a", start=given(name="string")), "a")


async def test_outputs_may_be_given_for_the_input_node(engine, stage):
    await run(engine, flow("start>a", start=given(name="string")), "a", None, {"start": {"name": "ann"}})

    assert stage.calls[0].inputs == {"start": {"name": "ann"}}


async def test_inputs_are_used_where_the_input_node_runs(engine, stage):
    await run(engine, flow("start>a"), "a", {"start": {"x": 1}})

    assert stage.calls[0].inputs == {"start": {"x": 1}}


@pytest.mark.parametrize(
    "node",
    [
        work(),
        static(x=1),
        merge(),
        human(),
        coalesce("start"),
        loop(flow("start>inner inner>end"), 3),
        inline(flow("start>inner inner>end")),
        output(x="start.missing"),
    ],
    ids=lambda node: node["node_type"],
)
async def test_given_outputs_are_used_as_they_are_for_every_node_type(engine, stage, node):
    view = await run(engine, flow("start>first first>a", first=node), "a", None, {"first": {"given": [1]}})

    assert view.run.status is RunStatus.COMPLETED
    assert stage.calls[-1].inputs == {"first": {"given": [1]}}
    assert stage.count("inner") == 0


async def test_given_outputs_of_a_router_fire_the_routes_that_hold_data(engine, stage):
    definition = flow(
        "start>route route.yes>a route.no>b a>pick b>pick",
        route=router(yes=("start.x", 1), no=("start.x", 2)),
        pick=coalesce("a", "b"),
    )

    view = await run(engine, definition, "pick", None, {"route": {"yes": None, "no": {"start": {"x": 9}}}})

    assert statuses(view)["a"] is TaskStatus.CANCELED
    assert view.outputs["pick"] == {"by": "b"}
    assert stage.calls[0].inputs == {"route": {"start": {"x": 9}}}


async def test_given_outputs_of_a_human_node_take_its_plain_links(engine):
    definition = flow("start>ask ask>a ask.declined>b a>pick b>pick", ask=human(), pick=coalesce("a", "b"))

    view = await run(engine, definition, "pick", None, {"ask": {"x": 1}})

    assert (statuses(view)["a"], statuses(view)["b"]) == (TaskStatus.COMPLETED, TaskStatus.CANCELED)


async def test_outputs_given_for_the_node_itself_are_its_outputs(engine, stage):
    view = await run(engine, flow("start>a a>end"), "a", None, {"a": {"x": 1}})

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs == {"a": {"x": 1}}
    assert stage.calls == []


async def test_outputs_given_for_nodes_that_are_not_involved_do_no_harm(engine):
    view = await run(engine, DIAMOND, "a", None, {"b": {"x": 1}})

    assert view.outputs.keys() == {"start", "a"}


@pytest.mark.parametrize(
    ("node_id", "inputs", "outputs"),
    [
        ("nobody", None, None),
        ("a", {"nobody": {}}, None),
        ("a", None, {"nobody": {}}),
    ],
)
async def test_unknown_node_ids_anywhere_are_refused_by_name_and_leave_no_run(
    engine, node_id, inputs, outputs
):
    workflow_id = await save(engine, DIAMOND)

    with pytest.raises((NotFound, Invalid), match="'nobody'"):
        await engine.run_partial(workflow_id, node_id, inputs, outputs)

    wanted = Filter(workflow_id=workflow_id, run_type=RunType.PARTIAL)
    assert await engine.list_runs(wanted, limit=10) == []


@pytest.mark.parametrize("outputs", [[1], "text", None, {"x": float("nan")}])
async def test_given_outputs_must_be_objects_of_json(engine, outputs):
    with pytest.raises(InvalidInputs, match="partial_outputs"):
        await run(engine, DIAMOND, "join", None, {"a": outputs})


async def test_a_partial_run_is_listed_only_when_its_type_is_asked_for(engine):
    workflow_id = await save(engine, DIAMOND)
    plain = await engine.run(workflow_id, None)
    partial = await engine.run_partial(workflow_id, "a")

    usual = await engine.list_runs(Filter(workflow_id=workflow_id), limit=10)
    asked = await engine.list_runs(Filter(workflow_id=workflow_id, run_type=RunType.PARTIAL), limit=10)

    assert [view.run.id for view in usual] == [plain.run.id]
    assert [view.run.id for view in asked] == [partial.run.id]
    assert asked[0].outputs == {"start": {}, "a": {"by": "a"}}


async def test_progress_counts_the_nodes_involved(engine):
    view = await run(engine, DIAMOND, "a")

    assert view.percentage_complete == 100


async def test_a_failing_node_fails_the_partial_run(engine, stage):
    stage.on("a", ValueError("broken"))

    view = await run(engine, DIAMOND, "join")

    assert view.run.status is RunStatus.FAILED
    assert "'a'" in view.run.message
    assert view.outputs.keys() == {"start", "b"}


async def test_a_partial_run_may_pause_and_go_on(engine):
    view = await run(engine, flow("start>ask ask>a a>end", ask=human()), "a")
    assert view.run.status is RunStatus.PAUSED

    await engine.decide(view.run.id, PauseAction.APPROVE, {"x": 1}, "ann", None)
    end = await rested(engine, view.run.id)

    assert end.run.status is RunStatus.COMPLETED
    assert end.outputs.keys() == {"start", "ask", "a"}


async def test_a_partial_run_survives_a_crash(house, stage):
    engine = await house.open()
    workflow_id = await save(engine, DIAMOND)
    stage.hold("b")
    started = await engine.run_partial(workflow_id, "join", None, {"a": {"given": 1}}, timeout_s=0)
    await stage.begun("b")

    engine = await house.restart(engine)
    await stage.begun("b", times=2)
    stage.let_go("b")
    view = await rested(engine, started.run.id)

    assert view.run.run_type is RunType.PARTIAL
    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs["join"] == {"a": {"given": 1}, "b": {"by": "b"}}
    assert stage.count("a") == 0
    assert "end" not in statuses(view)


@pytest.mark.parametrize("lands", [True, False])
async def test_a_partial_run_never_runs_what_was_given_wherever_it_is_cut(house, stage, lands):
    engine = await house.open()
    workflow_id = await save(engine, flow("start>a a>b b>c c>end"))
    for groups in range(1, 5):
        started = await engine.run_partial(workflow_id, "c", None, {"a": {"x": 1}}, timeout_s=0)
        await Fuse(engine, groups, lands=lands).burn()
        engine = await house.restart(engine)
        view = await rested(engine, started.run.id)

        assert view.run.status is RunStatus.COMPLETED
        assert task_at(view, "a").outputs == {"x": 1}
    assert stage.count("a") == 0
