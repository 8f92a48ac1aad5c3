"""What a code can see of a loop's history."""

import pytest

from rowel.core.iterations import Iterations
from rowel.nodes.clients.sandbox.reach import within_reach

HISTORY = Iterations({"add": [{"count": 1}]}, 0)
INPUTS = {"start": {"count": 1, "loop_history": HISTORY}, "other": {"x": {"y": 2}}}
LESS = {"start": {"count": 1}, "other": {"x": {"y": 2}}}


@pytest.mark.parametrize(
    "code",
    [
        "return {}",
        "return {'n': input_model['start']['count'] + input_model.start.count}",
        "return {'n': input_model.other.x.get('y')}",
        "for key in input_model['other']:\n    pass\nreturn {'n': key}",
        "def f():\n    return input_model.start.count\nreturn {'n': f()}",
    ],
)
def test_code_that_names_other_fields_gets_no_history(code):
    assert within_reach(code, INPUTS) == LESS


@pytest.mark.parametrize(
    "code",
    [
        "return {'n': input_model.start.loop_history.add}",
        "return {'n': input_model['start']['loop_history']['add'][0]}",
        "return input_model",
        "return {'n': input_model.start}",
        "return {'n': [v for v in input_model.start.values()]}",
        "return {'n': input_model.start.get('loop_history')}",
        "key = 'loop_history'\nreturn {'n': input_model.start[key]}",
        "x = input_model\nreturn {'n': x.start}",
        "return {'n': locals()}",
        "match input_model:\n    case _:\n        return {}",
        "return {'n': len(input_model[f'start'])}",
    ],
)
def test_code_that_might_see_it_gets_it(code):
    assert within_reach(code, INPUTS) is INPUTS


def test_inputs_without_a_history_are_not_looked_through():
    assert within_reach("this is no code", LESS) is LESS
