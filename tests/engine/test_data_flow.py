"""What nodes receive, what they hand on, and how outputs are keyed."""

import pytest

from rowel.core.errors import InvalidDefinition
from rowel.core.status import RunStatus, TaskStatus
from tests.support.flows import coalesce, flow, merge, output, router, static, titled, work
from tests.support.house import save, statuses, task_at

COMPLETED, CANCELED = TaskStatus.COMPLETED, TaskStatus.CANCELED
ROUTES = router(yes=("start.answer", "yes"), no=("start.answer", "no"))


async def run(engine, definition, inputs=None):
    return await engine.run(await save(engine, definition), inputs)


async def test_outputs_are_keyed_by_node_id_and_hold_every_completed_node(engine):
    definition = flow("start>a a>end", a=titled(work(gives={"x": 1}), "The first"))

    view = await run(engine, definition, {"start": {"in": 0}})

    assert view.outputs == {"start": {"in": 0}, "a": {"x": 1}, "end": {"The first": {"x": 1}}}


async def test_a_node_receives_its_predecessors_outputs_by_title(engine, stage):
    definition = flow(
        "start>a start>b a>c b>c c>end",
        a=titled(work(gives={"x": 1}), "Alpha"),
        b=work(gives={"y": [2]}),
    )

    view = await run(engine, definition)

    assert stage.calls[-1].inputs == {"Alpha": {"x": 1}, "b": {"y": [2]}}
    assert task_at(view, "c").inputs == {"Alpha": {"x": 1}, "b": {"y": [2]}}


async def test_two_predecessors_with_one_title_are_refused(engine):
    definition = flow("start>a start>b a>end b>end", a=titled(work(), "Same"), b=titled(work(), "Same"))

    with pytest.raises(InvalidDefinition, match="share the title 'Same'"):
        await save(engine, definition)


async def test_equal_titles_do_no_harm_where_no_node_receives_both(engine):
    definition = flow("start>a a>b b>end", a=titled(work(gives={"x": 1}), "Same"), b=titled(work(), "Same"))

    view = await run(engine, definition)

    assert view.outputs["a"] == {"x": 1}
    assert view.outputs["b"] == {"by": "b"}


async def test_an_output_map_picks_fields_and_keeps_their_types(engine):
    definition = flow(
        "start>a a>end",
        a=work(gives={"deep": {"list": [1, {"x": None}]}, "n": 10**30}),
        end=output(list="a.deep.list", n="a.n", all="a"),
    )

    view = await run(engine, definition)

    assert view.outputs["end"] == {
        "list": [1, {"x": None}],
        "n": 10**30,
        "all": {"deep": {"list": [1, {"x": None}]}, "n": 10**30},
    }


async def test_an_output_map_that_names_nothing_fails_the_output_node(engine):
    view = await run(engine, flow("start>a a>end", end=output(x="a.missing")))

    assert view.run.status is RunStatus.FAILED
    assert "'end'" in view.run.message
    assert "missing" in view.run.message


async def test_a_workflow_needs_no_output_node(engine):
    view = await run(engine, flow("start>a"))

    assert view.run.status is RunStatus.COMPLETED
    assert view.outputs == {"start": {}, "a": {"by": "a"}}


async def test_the_route_that_matches_runs_and_the_other_is_canceled(engine):
    definition = flow("start>route route.yes>a route.no>b a>c b>d", route=ROUTES)

    view = await run(engine, definition, {"start": {"answer": "yes"}})

    assert view.run.status is RunStatus.COMPLETED
    assert statuses(view) == {
        "start": COMPLETED,
        "route": COMPLETED,
        "a": COMPLETED,
        "c": COMPLETED,
        "b": CANCELED,
        "d": CANCELED,
    }
    assert view.outputs.keys() == {"start", "route", "a", "c"}


async def test_a_router_puts_out_each_route_with_what_it_received_or_null(engine):
    definition = flow("start>route route.yes>a", route=ROUTES)

    view = await run(engine, definition, {"start": {"answer": "yes"}})

    assert view.outputs["route"] == {"yes": {"start": {"answer": "yes"}}, "no": None}


async def test_under_a_routers_title_a_node_finds_what_its_route_carries(engine, stage):
    definition = flow("start>route route.yes>a", route=titled(ROUTES, "Router"))

    await run(engine, definition, {"start": {"answer": "yes"}})

    assert stage.calls[0].inputs == {"Router": {"start": {"answer": "yes"}}}


async def test_every_route_that_matches_fires(engine, stage):
    both = router(one=("start.x", 1), same=("start.x", 1))

    view = await run(engine, flow("start>route route.one>a route.same>b", route=both), {"start": {"x": 1}})

    assert view.outputs.keys() == {"start", "route", "a", "b"}


async def test_routing_that_ends_nowhere_is_a_completed_run(engine):
    definition = flow("start>route route.yes>a route.no>b a>end", route=ROUTES)

    view = await run(engine, definition, {"start": {"answer": "perhaps"}})

    assert view.run.status is RunStatus.COMPLETED
    assert view.run.message is None
    assert view.outputs.keys() == {"start", "route"}
    assert view.percentage_complete == pytest.approx(100 * 2 / 5)


async def test_a_coalesce_hands_on_the_branch_that_ran(engine):
    definition = flow(
        "start>route route.yes>a route.no>b a>pick b>pick pick>end", route=ROUTES, pick=coalesce("a", "b")
    )

    view = await run(engine, definition, {"start": {"answer": "no"}})

    assert view.outputs["pick"] == {"by": "b"}
    assert statuses(view)["end"] is COMPLETED


async def test_a_coalesce_waits_for_all_and_takes_the_first_preference(engine, stage):
    definition = flow("start>a start>b a>pick b>pick pick>end", pick=coalesce("b", "a"))
    stage.hold("b")
    view = await engine.start(await save(engine, definition), None)
    await stage.begun("b")

    assert statuses(await engine.get_run(view.run.id))["pick"] is TaskStatus.PENDING
    stage.let_go("b")
    await engine.run(view.run.workflow_id, None)

    assert (await engine.get_run(view.run.id)).outputs["pick"] == {"by": "b"}


async def test_a_coalesce_that_nothing_reaches_is_canceled_with_what_is_behind_it(engine):
    definition = flow(
        "start>route route.yes>a route.no>b a>pick b>pick pick>end", route=ROUTES, pick=coalesce("a", "b")
    )

    view = await run(engine, definition, {"start": {"answer": "perhaps"}})

    assert view.run.status is RunStatus.COMPLETED
    assert statuses(view)["pick"] is statuses(view)["end"] is CANCELED


async def test_a_coalesce_behind_a_failure_takes_the_branch_that_lives(engine, stage):
    stage.on("a", ValueError("broken"))
    definition = flow("start>a start>b a>pick b>pick", pick=coalesce("a", "b"))

    view = await run(engine, definition)

    assert view.run.status is RunStatus.FAILED
    assert view.outputs["pick"] == {"by": "b"}


async def test_a_merge_needs_all_its_predecessors(engine):
    definition = flow("start>route route.yes>a route.no>b a>join b>join", route=ROUTES, join=merge())

    view = await run(engine, definition, {"start": {"answer": "yes"}})

    assert statuses(view)["join"] is CANCELED


async def test_a_merge_puts_out_what_it_received_by_title(engine):
    definition = flow(
        "start>a start>b a>join b>join", a=static(x=1), b=titled(static(y=2), "Other"), join=merge()
    )

    view = await run(engine, definition)

    assert view.outputs["join"] == {"a": {"x": 1}, "Other": {"y": 2}}


async def test_a_router_behind_a_router_reads_through_the_first(engine):
    second = router(big=("first.start.size", "big"))
    definition = flow(
        "start>first first.yes>second second.big>a",
        first=router(yes=("start.answer", "yes")),
        second=second,
    )

    view = await run(engine, definition, {"start": {"answer": "yes", "size": "big"}})

    assert statuses(view)["a"] is COMPLETED


async def test_there_is_one_task_for_each_node_with_an_id_of_run_and_node(engine):
    view = await run(engine, flow("start>a a>end"))

    assert [task.id for task in view.tasks] == [f"{view.run.id}.{node}" for node in ("start", "a", "end")]
    assert all(task.parent_task_id is None for task in view.tasks)


async def test_outputs_that_are_not_json_fail_the_node(engine, stage):
    stage.on("a", {"x": float("inf")})

    view = await run(engine, flow("start>a a>end"))

    assert view.run.status is RunStatus.FAILED
    assert "not JSON" in task_at(view, "a").error


async def test_outputs_that_are_too_large_fail_the_node(engine, stage):
    stage.on("a", {"x": "y" * (4 * 1024 * 1024)})

    view = await run(engine, flow("start>a a>end"))

    assert view.run.status is RunStatus.FAILED
    assert "limit is 4194304 bytes" in task_at(view, "a").error


async def test_an_output_schema_is_not_enforced_where_outputs_have_a_shape_of_their_own(engine):
    definition = flow("start>join join>end", join={**merge(), "config": {"output_schema": {"x": "int"}}})

    assert (await run(engine, definition)).outputs["join"] == {"start": {}}


async def test_output_variables_are_the_declared_fields_with_the_names_templates_use(engine):
    definition = flow("start>a a>end", a=titled(work(output_schema={"x": "int", "y": "string"}), "Alpha"))

    found = await engine.output_variables(await save(engine, definition))

    assert found == [
        {"node_id": "a", "node_title": "Alpha", "variable_name": name, "prefixed_variable": f"Alpha.{name}"}
        for name in ("x", "y")
    ]
