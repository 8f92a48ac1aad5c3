import pytest

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Done
from rowel.nodes.builtin.output import OutputNode
from tests.support.nodes import build, outcome_of, problems_of

RECEIVED = {"First": {"count": 3, "deep": {"x": [None, 1.5]}}, "Second one": {"flag": True}}


@pytest.mark.parametrize("config", [{}, {"output_map": {}}, {"output_map": None}])
async def test_without_a_map_everything_received_is_passed_on(config):
    assert await outcome_of(build(OutputNode, **config), RECEIVED) == Done(RECEIVED)


async def test_a_map_picks_values_and_keeps_their_types():
    node = build(OutputNode, output_map={"n": "First.count", "x": "First.deep.x", "f": "Second one.flag"})

    assert await outcome_of(node, RECEIVED) == Done({"n": 3, "x": [None, 1.5], "f": True})


async def test_a_title_alone_takes_all_outputs_of_that_node():
    assert await outcome_of(build(OutputNode, output_map={"all": "First"}), RECEIVED) == Done(
        {"all": RECEIVED["First"]}
    )


async def test_null_is_a_value_like_any_other():
    node = build(OutputNode, output_map={"x": "a.x"})

    assert await outcome_of(node, {"a": {"x": None}}) == Done({"x": None})


async def test_a_path_that_leads_nowhere_fails_the_node_and_is_named():
    node = build(OutputNode, output_map={"n": "First.cuont"})

    with pytest.raises(NodeFailed, match=r"output_map, field 'n': path 'First\.cuont'.*'count'"):
        await outcome_of(node, RECEIVED)


@pytest.mark.parametrize("path", ["", "  "])
def test_an_empty_path_is_a_problem(path):
    assert problems_of(OutputNode, output_map={"n": path}) == [
        "config.output_map: field 'n' needs a path such as title.field"
    ]


@pytest.mark.parametrize("output_map", ["First", ["First"], {"n": 5}, {"n": None}])
def test_a_map_of_a_wrong_shape_is_a_problem(output_map):
    assert problems_of(OutputNode, output_map=output_map)
