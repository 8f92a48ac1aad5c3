"""Plans of reruns: sentences and pictures first, then any graph at all against the oracle."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rowel.core.definition import Link, NodeID
from rowel.core.errors import Invalid
from rowel.core.graph import Graph, compile_graph
from rowel.core.planner import Planner, Settled, State
from rowel.core.records import RunID, Task
from rowel.core.rerun import Fate, Past, Plan, Wish, plan_rerun
from rowel.core.status import RunStatus, TaskStatus
from tests.support.graphs import graph
from tests.support.rerun_oracle import Oracle, links_into

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHAIN = graph("a>b b>c c>d")
ROUTED = graph("r.yes>x r.no>y x>end y>end", any_of="end")
DONE, FAILED, CANCELED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELED
RUN, REUSE, EDIT, CANCEL = Fate.RUN, Fate.REUSE, Fate.EDIT, Fate.CANCEL


def task(node_id: str, status: TaskStatus = DONE, **fields: Any) -> Task:
    """A node that was run; `start_time` None makes it one that never began."""
    made = {"attempt": 1, "inputs": {}, "start_time": NOON, **fields}
    return Task(run_id=RunID("old"), path=node_id, node_id=node_id, status=status, **made)


def given_task(node_id: str) -> Task:
    return task(node_id, attempt=0, inputs=None)


def never_began(node_id: str) -> Task:
    return task(node_id, CANCELED, attempt=0, inputs=None, start_time=None)


def past(*tasks: Task, status: RunStatus = RunStatus.COMPLETED, **fields: Any) -> Past:
    return Past(status=status, tasks={one.node_id: one for one in tasks}, **fields)


def completed(nodes: Graph, **routes: set[str]) -> Past:
    """A run of which every node completed, with the routes it took."""
    fired = {node_id: frozenset(handles) for node_id, handles in routes.items()}
    return past(*(task(spec.id, routes=fired.get(spec.id)) for spec in nodes.specs))


def wish(*chosen: str, edits: str = "", **fields: Any) -> Wish:
    return Wish(chosen=frozenset(chosen), edited=dict.fromkeys(edits.split()), **fields)


def fates(plan: Plan) -> dict[str, Fate]:
    return dict(plan.fates)


def runs_of(plan: Plan) -> set[str]:
    return {node_id for node_id, fate in plan.fates.items() if fate is RUN}


def why(plan: Plan, node_id: str) -> str:
    return next(step.why for step in plan.steps if step.node_id == node_id)


# Sentences and pictures


def test_a_chosen_node_and_all_behind_it_run_and_what_lies_before_is_reused():
    plan = plan_rerun(CHAIN, completed(CHAIN), wish("c"))

    assert fates(plan) == {"a": REUSE, "b": REUSE, "c": RUN, "d": RUN}
    assert why(plan, "c") == "it was chosen"
    assert why(plan, "d") == "it lies behind 'c'"


def test_branches_beside_the_chosen_node_are_reused():
    diamond = graph("a>b a>c b>d c>d")

    assert fates(plan_rerun(diamond, completed(diamond), wish("b"))) == {
        "a": REUSE,
        "b": RUN,
        "c": REUSE,
        "d": RUN,
    }


def test_without_a_choice_what_failed_and_all_behind_it_runs():
    before = past(task("a"), task("b", FAILED), never_began("c"), never_began("d"), status=RunStatus.FAILED)

    plan = plan_rerun(CHAIN, before, wish())

    assert fates(plan) == {"a": REUSE, "b": RUN, "c": RUN, "d": RUN}
    assert why(plan, "b") == "it failed"


def test_what_failed_runs_also_where_something_else_was_chosen():
    forked = graph("a>b a>c")
    before = past(task("a"), task("b", FAILED), task("c"), status=RunStatus.FAILED)

    assert fates(plan_rerun(forked, before, wish("c"))) == {"a": REUSE, "b": RUN, "c": RUN}


def test_what_completed_behind_a_failure_runs_with_it():
    """A node that needs only one of its links completed on the other."""
    either = graph("a>c b>c", any_of="c")
    before = past(task("a", FAILED), task("b"), task("c"), status=RunStatus.FAILED)

    assert fates(plan_rerun(either, before, wish())) == {"a": RUN, "b": REUSE, "c": RUN}


@pytest.mark.parametrize("status", [RunStatus.CANCELED, RunStatus.FAILED])
def test_a_run_that_was_interrupted_goes_on_where_it_stopped(status):
    before = past(task("a"), task("b", TaskStatus.RUNNING), status=status)

    plan = plan_rerun(CHAIN, before, wish())

    assert fates(plan) == {"a": REUSE, "b": RUN, "c": RUN, "d": RUN}
    assert why(plan, "b") == "it did not run to its end"


def test_who_was_declined_is_asked_again():
    declined = task("b", CANCELED, error="declined by ann")
    plan = plan_rerun(CHAIN, past(task("a"), declined, status=RunStatus.CANCELED), wish())

    assert fates(plan)["b"] is RUN
    assert why(plan, "b") == "it was declined"


def test_of_a_run_that_completed_all_runs_anew_where_nothing_is_wished():
    plan = plan_rerun(CHAIN, completed(CHAIN), wish())

    assert set(fates(plan).values()) == {RUN}
    assert {step.why for step in plan.steps} == {"all of it runs anew"}


def test_routes_not_taken_do_not_make_a_completed_run_unfinished():
    before = past(task("r", routes=frozenset({"yes"})), task("x"), never_began("y"), task("end"))

    assert set(fates(plan_rerun(ROUTED, before, wish())).values()) == {RUN}


def test_an_edited_node_does_not_run_and_all_behind_it_does():
    plan = plan_rerun(CHAIN, completed(CHAIN), wish(edits="b"))

    assert fates(plan) == {"a": REUSE, "b": EDIT, "c": RUN, "d": RUN}
    assert why(plan, "b") == "its outputs are given"


def test_an_edited_node_behind_a_chosen_one_keeps_its_edit():
    assert fates(plan_rerun(CHAIN, completed(CHAIN), wish("a", edits="c"))) == {
        "a": RUN,
        "b": RUN,
        "c": EDIT,
        "d": RUN,
    }


def test_a_failed_node_that_only_edited_ones_need_is_left_alone():
    before = past(task("a"), task("b", FAILED), status=RunStatus.FAILED)

    plan = plan_rerun(CHAIN, before, wish(edits="c"))

    assert fates(plan) == {"a": REUSE, "b": CANCEL, "c": EDIT, "d": RUN}
    assert why(plan, "b") == "all that lies behind it is edited"


def test_a_failed_node_that_others_need_too_runs():
    forked = graph("a>b b>c b>d")
    before = past(task("a"), task("b", FAILED), status=RunStatus.FAILED)

    assert fates(plan_rerun(forked, before, wish(edits="c"))) == {"a": REUSE, "b": RUN, "c": EDIT, "d": RUN}


def test_what_a_chosen_node_needs_runs_though_only_edited_ones_lie_behind_that():
    joined = graph("a>c b>c c>d d>e")
    before = past(task("a"), task("b", FAILED), status=RunStatus.FAILED)

    assert fates(plan_rerun(joined, before, wish("c", edits="d"))) == {
        "a": REUSE,
        "b": RUN,
        "c": RUN,
        "d": EDIT,
        "e": RUN,
    }


def test_a_reused_router_keeps_the_route_it_took():
    before = past(task("r", routes=frozenset({"yes"})), task("x"), never_began("y"), task("end"))

    plan = plan_rerun(ROUTED, before, wish("x"))

    assert fates(plan) == {"r": REUSE, "x": RUN, "y": CANCEL, "end": RUN}
    assert why(plan, "y") == "'r' does not lead to it"


def test_an_edited_router_takes_the_routes_of_its_edit():
    before = past(task("r", routes=frozenset({"yes"})), task("x"), never_began("y"), task("end"))

    plan = plan_rerun(ROUTED, before, Wish(edited={"r": frozenset({"no"})}))

    assert fates(plan) == {"r": EDIT, "x": CANCEL, "y": RUN, "end": RUN}


def test_a_chosen_node_that_no_route_leads_to_is_refused():
    before = past(task("r", routes=frozenset({"yes"})), task("x"), never_began("y"), task("end"))

    with pytest.raises(Invalid, match="Node 'y' can't run: 'r' does not lead to it"):
        plan_rerun(ROUTED, before, wish("y"))
    assert fates(plan_rerun(ROUTED, before, wish("r", "y")))["y"] is RUN


def test_what_had_nothing_to_pass_on_stays_canceled():
    silent = graph("a>c b>c c>d", any_of="c")
    before = past(task("a"), task("b"), task("c", CANCELED), never_began("d"))

    plan = plan_rerun(silent, before, Wish(edited={"nobody": None}))

    assert fates(plan) == {"a": REUSE, "b": REUSE, "c": CANCEL, "d": CANCEL}
    assert why(plan, "c") == "it had nothing to pass on"
    assert why(plan, "d") == "'c' stays canceled"


def test_what_was_canceled_with_its_run_runs():
    before = past(task("a"), task("b", CANCELED), status=RunStatus.CANCELED)

    assert fates(plan_rerun(CHAIN, before, wish()))["b"] is RUN


def test_a_node_that_is_not_what_it_was_runs_with_all_behind_it():
    before = past(*(task(name) for name in "abcd"), differences={"c": "its config differs in version 2"})

    plan = plan_rerun(CHAIN, before, wish())

    assert fates(plan) == {"a": REUSE, "b": REUSE, "c": RUN, "d": RUN}
    assert why(plan, "c") == "its config differs in version 2"


def test_other_inputs_make_the_input_node_run():
    nodes = compile_graph(
        CHAIN.specs, [Link(source_id=NodeID("a"), target_id=NodeID("b"))], input_id=NodeID("a")
    )

    plan = plan_rerun(nodes, completed(nodes), wish(renews_inputs=True))

    assert fates(plan) == {"a": RUN, "b": RUN, "c": REUSE, "d": REUSE}
    assert why(plan, "a") == "it gets other inputs"
    with pytest.raises(Invalid, match="'a' gets both"):
        plan_rerun(nodes, completed(nodes), wish(edits="a", renews_inputs=True))


def test_a_node_can_not_be_both_chosen_and_edited():
    with pytest.raises(Invalid, match="'b' is both chosen and edited"):
        plan_rerun(CHAIN, completed(CHAIN), wish("a", "b", edits="b"))


# Partial runs


def partial(target: str, *tasks: Task, **fields: Any) -> Past:
    return past(*tasks, target=target, scope=frozenset(one.node_id for one in tasks), **fields)


def test_a_partial_run_runs_anew_on_what_it_was_given():
    before = partial("c", given_task("b"), task("c"))

    plan = plan_rerun(CHAIN, before, wish())

    assert fates(plan) == {"b": REUSE, "c": RUN}
    assert why(plan, "b") == "its outputs were given to that run"


def test_of_a_partial_run_that_failed_the_failed_node_runs():
    diamond = graph("a>b a>c b>d c>d d>e")
    before = partial(
        "d", task("a"), task("b", FAILED), given_task("c"), never_began("d"), status=RunStatus.FAILED
    )

    assert fates(plan_rerun(diamond, before, wish())) == {"a": REUSE, "b": RUN, "c": REUSE, "d": RUN}


def test_what_was_given_stays_given_though_something_before_it_runs():
    diamond = graph("a>b a>c b>d c>d")
    before = partial("d", task("a", FAILED), task("b"), given_task("c"), task("d"), status=RunStatus.FAILED)

    assert fates(plan_rerun(diamond, before, wish())) == {"a": RUN, "b": RUN, "c": REUSE, "d": RUN}


def test_a_given_node_that_is_chosen_runs_with_what_it_needs():
    before = partial("d", given_task("c"), task("d"))

    plan = plan_rerun(CHAIN, before, wish("c"))

    assert fates(plan) == {"a": RUN, "b": RUN, "c": RUN, "d": RUN}


def test_a_node_before_a_given_one_may_be_chosen_or_edited():
    before = partial("d", given_task("c"), task("d"))

    assert fates(plan_rerun(CHAIN, before, wish("b"))) == {"a": RUN, "b": RUN, "c": RUN, "d": RUN}
    assert fates(plan_rerun(CHAIN, before, wish(edits="b"))) == {"b": EDIT, "c": RUN, "d": RUN}


def test_what_a_chosen_node_needs_ends_at_what_was_given():
    nodes = graph("a>b b>c c>d d>e b>e")
    before = partial("e", given_task("b"), given_task("d"), task("e"))

    assert fates(plan_rerun(nodes, before, wish("d"))) == {"b": REUSE, "c": RUN, "d": RUN, "e": RUN}


def test_nodes_that_a_partial_run_was_not_of_are_refused():
    with pytest.raises(Invalid, match="Node 'd' is not before 'c'"):
        plan_rerun(CHAIN, partial("c", given_task("b"), task("c")), wish("d"))


# Any graph at all

HANDLES = ["", "yes", "no"]
ROUTES = st.none() | st.frozensets(st.sampled_from(HANDLES))


@st.composite
def graphs(draw: st.DrawFn, most: int = 8) -> Graph:
    names = [f"n{number}" for number in range(draw(st.integers(1, most)))]
    pairs = [(source, target) for target in names for source in names if source < target]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14)) if pairs else []
    links = [f"{source}.{draw(st.sampled_from(HANDLES))}>{target}" for source, target in chosen]
    return graph(" ".join([*names, *links]), any_of=" ".join(draw(st.sets(st.sampled_from(names)))))


def past_tasks(node_id: str) -> st.SearchStrategy[Task]:
    return st.one_of(
        st.builds(task, st.just(node_id), routes=ROUTES),
        st.just(given_task(node_id)),
        st.just(never_began(node_id)),
        st.just(task(node_id, CANCELED, error="declined")),
        st.sampled_from([FAILED, CANCELED, TaskStatus.RUNNING, TaskStatus.PAUSED]).map(
            lambda status: task(node_id, status)
        ),
    )


@st.composite
def cases(draw: st.DrawFn, *, is_partial: bool = False) -> tuple[Graph, Past, Wish]:
    nodes = draw(graphs())
    names = sorted(nodes.index)
    target = draw(st.sampled_from(names)) if is_partial else None
    inside = names if target is None else sorted(nodes.ancestors(target) | {target})
    tasks = [draw(past_tasks(name)) for name in inside if target is None or draw(st.booleans())]
    before = past(
        *tasks,
        status=draw(st.sampled_from([status for status in RunStatus if status.is_final])),
        differences=draw(st.dictionaries(st.sampled_from(names), st.just("it differs"), max_size=1)),
        target=target,
        scope=None if target is None else frozenset({target, *(one.node_id for one in tasks)}),
    )
    edited = draw(st.dictionaries(st.sampled_from(inside), ROUTES, max_size=2))
    rest = sorted(set(inside) - edited.keys())
    chosen = draw(st.frozensets(st.sampled_from(rest), max_size=2)) if rest else frozenset()
    return nodes, before, Wish(chosen=chosen, edited=edited)


def planned(nodes: Graph, before: Past, wanted: Wish) -> Plan:
    """The plan of a case; one whose chosen node can't run is no case."""
    try:
        return plan_rerun(nodes, before, wanted)
    except Invalid:
        assume(False)
        raise


@given(case=cases())
def test_every_fate_is_the_oracles(case):
    nodes, before, wanted = case
    expected = Oracle(nodes, before, wanted).fates()
    if any(expected[node_id] is CANCEL for node_id in wanted.chosen):
        with pytest.raises(Invalid, match="can't run"):
            plan_rerun(nodes, before, wanted)
        return
    if wanted.is_empty and RUN not in expected.values():
        expected = dict.fromkeys(expected, RUN)

    assert fates(plan_rerun(nodes, before, wanted)) == expected


@given(case=cases(), seed=st.randoms(use_true_random=False))
def test_a_plan_does_not_depend_on_the_order_of_nodes_and_links(case, seed: random.Random):
    nodes, before, wanted = case
    links = [
        Link(source_id=NodeID(source), target_id=spec.id, source_handle=handle or None)
        for spec in nodes.specs
        for source, handle in links_into(nodes, spec.id)
    ]
    specs = list(nodes.specs)
    seed.shuffle(specs)
    seed.shuffle(links)
    any_of = [spec.id for spec, joins_any in zip(nodes.specs, nodes.joins_any, strict=True) if joins_any]
    other = compile_graph(specs, links, joins_any=any_of)

    assert fates(planned(other, before, wanted)) == fates(planned(nodes, before, wanted))


def facts_of(before: Past, wanted: Wish, plan: Plan) -> dict[str, Settled]:
    """What the planner knows of a rerun that begins."""
    known = {}
    for node_id, fate in fates(plan).items():
        if fate is REUSE:
            known[node_id] = Settled(State.COMPLETED, before.tasks[node_id].routes)
        elif fate is EDIT:
            known[node_id] = Settled(State.COMPLETED, wanted.edited[node_id])
        elif fate is CANCEL:
            known[node_id] = Settled(State.CANCELED)
    return known


@pytest.mark.parametrize("is_partial", [False, True], ids=["whole", "partial"])
@given(data=st.data())
def test_exactly_the_nodes_that_are_to_run_do_where_all_of_them_complete(is_partial, data):
    nodes, before, wanted = data.draw(cases(is_partial=is_partial))
    plan = planned(nodes, before, wanted)
    planner = Planner(nodes, facts_of(before, wanted, plan), frozenset(plan.fates))
    started = list(planner.opening.start)
    assert planner.opening.cancel == ()
    for node_id in started:
        after = planner.complete(node_id)
        assert after.cancel == ()
        started += after.start

    assert set(started) == runs_of(plan)
    assert planner.status is RunStatus.COMPLETED


@given(case=cases(is_partial=True))
def test_the_rerun_of_a_partial_run_has_its_nodes_and_what_those_that_run_need(case):
    nodes, before, wanted = case
    plan = planned(nodes, before, wanted)

    assert before.target is not None
    assert before.scope is not None
    assert before.scope <= plan.fates.keys() <= nodes.ancestors(before.target) | {before.target}
    for node_id in runs_of(plan):
        assert {source for source, _ in links_into(nodes, node_id)} <= plan.fates.keys()
    for node_id, fate in fates(plan).items():
        if before.tasks.get(node_id, never_began(node_id)).is_given and fate is RUN:
            changed = wanted.chosen | wanted.edited.keys()
            assert node_id in changed or nodes.ancestors(node_id) & changed
