import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.conditions import Operator, holds
from rowel.core.outcomes import Done
from rowel.nodes.builtin.router import RouterNode
from tests.support.nodes import build, outcome_of, problems_of

RECEIVED = {"Start": {"kind": "bug", "size": 12, "note": ""}}


def when(variable, operator, value=None, join=None):
    rule = {"variable": variable, "operator": operator, "value": value}
    return rule if join is None else {**rule, "logicalOperator": join}


def route(*rules):
    return {"conditions": list(rules)}


BUG = route(when("Start.kind", "equals", "bug"))
FEATURE = route(when("Start.kind", "equals", "feature"))
LARGE = route(when("Start.size", "greater_than", "10"))


async def test_every_matching_route_fires_and_carries_what_was_received():
    node = build(RouterNode, route_map={"bug": BUG, "feature": FEATURE, "large": LARGE})

    outcome = await outcome_of(node, RECEIVED)

    assert outcome == Done(
        {"bug": RECEIVED, "feature": None, "large": RECEIVED}, routes=frozenset({"bug", "large"})
    )


async def test_where_nothing_matches_no_route_fires():
    outcome = await outcome_of(build(RouterNode, route_map={"feature": FEATURE}), RECEIVED)

    assert outcome == Done({"feature": None}, routes=frozenset())


async def test_conditions_join_from_left_to_right():
    either = route(when("Start.kind", "equals", "x"), when("Start.size", "less_than", 100, "OR"))
    both = route(when("Start.kind", "equals", "x"), when("Start.size", "less_than", 100, "AND"))

    outcome = await outcome_of(build(RouterNode, route_map={"either": either, "both": both}), RECEIVED)

    assert outcome.routes == {"either"}


@pytest.mark.parametrize("always", [{"conditions": []}, {"conditions": None}, {}])
async def test_a_route_without_conditions_always_fires(always):
    outcome = await outcome_of(build(RouterNode, route_map={"always": always}), RECEIVED)

    assert outcome.routes == {"always"}


async def test_a_condition_written_as_the_reference_exports_it_is_read():
    rule = {"logicalOperator": "AND", "operator": "is_not_empty", "value": "", "variable": "Start.kind"}

    outcome = await outcome_of(build(RouterNode, route_map={"route1": {"conditions": [rule]}}), RECEIVED)

    assert outcome.routes == {"route1"}


async def test_a_router_without_routes_cancels_all_behind_it():
    assert await outcome_of(build(RouterNode), RECEIVED) == Done({}, routes=frozenset())


def test_the_handles_are_the_routes():
    assert build(RouterNode, route_map={"bug": BUG, "large": LARGE}).handles() == {"bug", "large"}


def test_wrong_words_are_told_with_their_places():
    wrong = route(
        when("Start.kind", "equals", "x"), when("Start.kind", "resembles"), when("a", "equals", "b", "NOR")
    )

    problems = problems_of(RouterNode, route_map={"bug": BUG, "odd": wrong})

    assert [problem.split(":")[0] for problem in problems] == [
        "config.route_map.odd.conditions.1",
        "config.route_map.odd.conditions.2",
    ]
    assert "'resembles' is not one of contains, equals" in problems[0]


def test_a_route_needs_a_name():
    assert problems_of(RouterNode, route_map={"": BUG}) == ["config.route_map: a route needs a name"]


@pytest.mark.parametrize(
    "route_map",
    [
        [],
        "x",
        {"r": []},
        {"r": {"conditions": {}}},
        {"r": {"conditions": ["x"]}},
        {"r": {"conditions": [{"variable": "a.b"}]}},
        {"r": {"conditions": [{"variable": 5, "operator": "equals"}]}},
    ],
)
def test_a_route_map_of_a_wrong_shape_is_a_problem(route_map):
    assert problems_of(RouterNode, route_map=route_map)


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
RULES = st.builds(
    when,
    st.sampled_from(["a.x", "a.y", "a", "b", ""]),
    st.sampled_from([str(operator) for operator in Operator]),
    VALUES | st.lists(VALUES, max_size=2),
    st.sampled_from([None, "AND", "OR", "or"]),
)
ROUTES = st.dictionaries(st.sampled_from("rst"), st.lists(RULES, max_size=3).map(lambda rules: route(*rules)))
INPUTS = st.fixed_dictionaries(
    {}, optional={"a": st.dictionaries(st.sampled_from("xy"), VALUES | st.lists(VALUES)), "b": VALUES}
)


@given(ROUTES, INPUTS)
async def test_a_route_carries_data_exactly_when_it_fires(route_map, inputs):
    node = build(RouterNode, route_map=route_map)

    outcome = await outcome_of(node, inputs)

    assert outcome.outputs.keys() == route_map.keys()
    assert outcome.routes == {name for name, data in outcome.outputs.items() if data is not None}
    for name in outcome.routes:
        assert outcome.outputs[name] == inputs


@given(ROUTES, INPUTS)
async def test_the_routes_that_fire_do_not_depend_on_one_another(route_map, inputs):
    together = await outcome_of(build(RouterNode, route_map=route_map), inputs)

    for name, only in route_map.items():
        alone = await outcome_of(build(RouterNode, route_map={name: only}), inputs)
        assert (name in together.routes) == bool(alone.routes)


def test_an_empty_list_of_conditions_holds():
    assert holds([], {})
