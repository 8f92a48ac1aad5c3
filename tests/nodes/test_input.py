import json

import pytest

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Done
from rowel.nodes.base import InputProblems
from rowel.nodes.builtin.input import InputNode
from tests.support.nodes import build, outcome_of, problems_of

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CLOSED = {**PERSON, "additionalProperties": False}


async def test_inputs_pass_unconverted():
    node = build(InputNode, output_schema={"age": "int", "tags": "list"})
    inputs = {"age": 7, "tags": ["a", None], "undeclared": 1.5}

    assert await outcome_of(node, inputs) == Done(inputs)


async def test_without_a_schema_anything_passes():
    node = build(InputNode)

    assert await outcome_of(node, {"x": {"y": [None]}}) == Done({"x": {"y": [None]}})
    assert node.input_schema is None
    assert not node.input_problems({})


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        (
            {
                "output_json_schema": json.dumps(PERSON),
                "input_schema": {"b": "int"},
                "output_schema": {"c": "int"},
            },
            {"name"},
        ),
        ({"input_schema": {"b": "int"}, "output_schema": {"c": "int"}}, {"b"}),
        ({"output_schema": {"c": "int"}}, {"c"}),
        ({"output_json_schema": None, "input_schema": {}, "output_schema": {"c": "int"}}, {"c"}),
        ({"output_json_schema": "", "output_schema": {"c": "int"}}, {"c"}),
    ],
)
def test_the_schema_is_the_first_of_three_that_is_given(config, fields):
    assert build(InputNode, **config).input_schema.required == fields


def test_missing_fields_are_told_by_name():
    node = build(InputNode, output_schema={"b": "int", "a": "str", "c": "Optional[str]"})

    assert node.input_problems({}) == InputProblems(missing=("a", "b"))


def test_values_of_a_wrong_type_are_told_in_sentences():
    [wrong] = build(InputNode, output_schema={"age": "int"}).input_problems({"age": "seven"}).wrong

    assert "age" in wrong
    assert "integer" in wrong


def test_null_is_lawful_in_every_field_of_a_field_map():
    assert not build(InputNode, output_schema={"age": "int"}).input_problems({"age": None})


def test_a_json_schema_decides_for_itself_about_null():
    node = build(InputNode, output_json_schema=json.dumps(PERSON))

    assert node.input_problems({"name": None}).wrong


def test_an_unenforced_schema_lifts_types_but_not_missing_fields():
    node = build(InputNode, output_schema={"age": "int"}, enforce_schema=False)

    assert not node.input_problems({"age": "seven"})
    assert node.input_problems({}).missing == ("age",)


@pytest.mark.parametrize("added", ["files", "loop_history"])
def test_fields_that_rowel_adds_are_lawful_whatever_the_schema_says(added):
    node = build(InputNode, output_json_schema=json.dumps(CLOSED))

    assert not node.input_problems({"name": "Ann", added: ["x"]})
    assert node.input_problems({"name": "Ann", "other": 1}).wrong


def test_files_are_judged_where_they_are_declared():
    node = build(InputNode, output_schema={"files": "List[str]"})

    assert node.input_problems({"files": [1]}).wrong
    assert node.input_problems({}).missing == ("files",)


@pytest.mark.parametrize(("inputs", "message"), [({}, "field 'age' is missing"), ({"age": "x"}, "age")])
async def test_inputs_that_do_not_fit_fail_the_node(inputs, message):
    with pytest.raises(NodeFailed, match=message):
        await outcome_of(build(InputNode, output_schema={"age": "int"}), inputs)


@pytest.mark.parametrize(
    "config",
    [
        {"output_json_schema": "{"},
        {"output_json_schema": '{"type": "nonsense"}'},
        {"output_json_schema": '{"$ref": "http://example.com/x"}'},
        {"output_schema": {"a": "whatever"}},
        {"input_schema": {"a": 5}},
        {"input_schema": 5},
    ],
)
def test_a_schema_that_is_none_is_a_problem(config):
    assert problems_of(InputNode, **config)
