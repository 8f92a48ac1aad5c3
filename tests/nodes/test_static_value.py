import pytest

from rowel.core.outcomes import Done
from rowel.nodes.builtin.static_value import StaticValueNode
from tests.support.nodes import build, outcome_of, problems_of

VALUES = {"number": 1, "text": "ä", "nested": {"list": [None, True, 1.5]}}


@pytest.mark.parametrize("inputs", [{}, {"other": {"number": 9}}])
async def test_the_values_come_out_whatever_is_received(inputs):
    assert await outcome_of(build(StaticValueNode, values=VALUES), inputs) == Done(VALUES)


async def test_without_values_the_outputs_are_empty():
    assert await outcome_of(build(StaticValueNode), {}) == Done({})


@pytest.mark.parametrize("values", [[1], "x", 5])
def test_values_that_are_no_object_are_a_problem(values):
    assert problems_of(StaticValueNode, values=values)
