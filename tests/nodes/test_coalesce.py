import pytest

from rowel.core.outcomes import Done, Skip
from rowel.nodes.builtin.coalesce import CoalesceNode
from tests.support.nodes import build, outcome_of, problems_of

RECEIVED = {"one": {"x": 1}, "two": {"x": 2}, "three": {"x": 3}}


def test_a_coalesce_needs_only_one_of_its_predecessors():
    assert CoalesceNode.join == "any"


@pytest.mark.parametrize(
    ("preferences", "x"),
    [
        (["two", "one"], 2),
        (["gone", "three"], 3),
        (["SingleLLMCallNode_1|two"], 2),
        (["gone|gone", "node|three"], 3),
        ([], 1),
        (["gone"], 1),
    ],
)
async def test_the_first_preferred_predecessor_that_has_a_value_wins(preferences, x):
    assert await outcome_of(build(CoalesceNode, preferences=preferences), RECEIVED) == Done({"x": x})


async def test_null_is_no_value():
    node = build(CoalesceNode, preferences=["one", "two"])

    assert await outcome_of(node, {"one": None, "two": {"x": 2}}) == Done({"x": 2})


async def test_empty_outputs_are_a_value():
    assert await outcome_of(build(CoalesceNode), {"one": {}, "two": {"x": 2}}) == Done({})


@pytest.mark.parametrize("inputs", [{}, {"one": None}])
async def test_with_no_value_at_all_the_node_is_skipped(inputs):
    assert await outcome_of(build(CoalesceNode, preferences=["one"]), inputs) == Skip()


async def test_a_title_with_a_bar_in_it_is_a_title_first():
    received = {"a|two": {"x": 0}, "two": {"x": 2}}

    assert await outcome_of(build(CoalesceNode, preferences=["a|two"]), received) == Done({"x": 0})


async def test_what_follows_the_first_bar_is_the_title():
    received = {"other": {"x": 9}, "a|b": {"x": 1}}

    assert await outcome_of(build(CoalesceNode, preferences=["id|a|b"]), received) == Done({"x": 1})


@pytest.mark.parametrize("preferences", ["one", [1], {"one": 1}])
def test_preferences_are_a_list_of_texts(preferences):
    assert problems_of(CoalesceNode, preferences=preferences)
