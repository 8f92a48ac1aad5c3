"""Schemas as nodes and batches use them: field maps and JSON Schemas behind one face."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from rowel.core.errors import Invalid
from rowel.core.schemas import Schema

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}


class Config(BaseModel):
    model_config = ConfigDict(extra="allow")

    output_json_schema: str | None = None
    output_schema: dict[str, object] | None = None


def of(config, *names):
    found = Schema.of(config, *(names or ("output_json_schema", "input_schema", "output_schema")))
    assert found is not None
    return found


def test_the_first_name_that_holds_a_schema_wins():
    config = {
        "output_json_schema": json.dumps(PERSON),
        "input_schema": {"x": "int"},
        "output_schema": {"y": "int"},
    }

    assert set(of(config).fields) == {"name", "age"}
    assert set(of(config, "input_schema", "output_json_schema").fields) == {"x"}


@pytest.mark.parametrize("absent", [None, "", "  \n", {}, "{}", " { } "])
def test_an_empty_schema_counts_as_absent(absent):
    assert set(of({"output_json_schema": absent, "output_schema": {"y": "int"}}).fields) == {"y"}


@pytest.mark.parametrize(
    "config", [{}, {"output_schema": {}}, {"other": {"a": "int"}}, Config(), Config(output_json_schema=" ")]
)
def test_without_a_schema_there_is_none(config):
    assert Schema.of(config, "output_json_schema", "input_schema", "output_schema") is None


def test_a_config_model_may_hold_it_in_its_own_fields_and_in_extra_ones():
    assert set(of(Config(output_json_schema=json.dumps(PERSON))).fields) == {"name", "age"}
    assert set(of(Config(output_schema={"y": "int"})).fields) == {"y"}
    assert set(of(Config(input_schema={"z": "int"})).fields) == {"z"}


@pytest.mark.parametrize("name", ["form", "output_json_schema", "input_json_schema"])
def test_an_object_under_these_names_is_a_json_schema(name):
    assert of({name: {"type": "object"}}, name).json_schema == {"type": "object"}


def test_an_object_that_is_plainly_a_json_schema_is_one_under_any_name():
    assert of({"input_schema": PERSON}).required == {"name"}


def test_a_field_map_may_have_fields_called_like_keywords():
    schema = of(
        {"input_schema": {"type": "string", "properties": "dict", "required": "bool", "items": "list"}}
    )

    assert set(schema.fields) == {"type", "properties", "required", "items"}
    assert schema.problems({"type": "a", "properties": {}, "required": True, "items": []}) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"output_json_schema": "{"}, "output_json_schema: not valid JSON"),
        ({"output_json_schema": "[]"}, "output_json_schema: a JSON schema must be an object, not a list"),
        (
            {"output_json_schema": "true"},
            "output_json_schema: a JSON schema must be an object, not true or false",
        ),
        ({"output_json_schema": '{"type": "strin"}'}, "output_json_schema: not a valid JSON schema at type"),
        (
            {"output_json_schema": '{"a":' * 65 + "1" + "}" * 65},
            "output_json_schema: JSON nested deeper than 64 levels",
        ),
        ({"output_json_schema": '{"$ref": "http://x/y"}'}, "output_json_schema: $ref 'http://x/y' leads out"),
        ({"input_schema": {"a": "strin"}}, "input_schema: field 'a': unknown type 'strin'"),
        ({"input_schema": {"a": {"type": "string"}}}, "input_schema: field 'a': a type must be a word"),
        ({"input_schema": 5}, "input_schema: a schema must be an object, not an integer"),
        ({"input_schema": ["a"]}, "input_schema: a schema must be an object, not a list"),
    ],
)
def test_a_wrong_schema_is_refused_with_the_name_of_its_field(config, message):
    with pytest.raises(Invalid) as caught:
        of(config)
    assert caught.value.message.startswith(message)


FIELDS = Schema.from_fields(
    {"name": "string", "age": "int", "tags": "List[str]", "note": "Optional[str]", "x": "any"}
)


def test_every_field_is_required_unless_it_is_optional():
    assert FIELDS.required == {"name", "age", "tags", "x"}
    assert FIELDS.problems({}) == [f"field {name!r} is missing" for name in ("name", "age", "tags", "x")]


def test_null_is_lawful_in_every_field_of_a_field_map():
    assert FIELDS.problems(dict.fromkeys(("name", "age", "tags", "x"))) == []


def test_what_fits_has_no_problems_and_more_fields_are_lawful():
    assert FIELDS.problems({"name": "Ann", "age": 10**30, "tags": ["a"], "x": {"y": 1}, "more": 1}) == []


def test_all_problems_are_told_at_once():
    found = FIELDS.problems({"name": 1, "age": "7", "tags": ["a", 2], "x": 1})

    assert found == [
        "field 'name': expected string, got an integer",
        "field 'age': expected integer, got text",
        "field 'tags[1]': expected string, got an integer",
    ]


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_field_map_wants_an_object(value):
    assert FIELDS.problems(value)[0].startswith("expected an object, got ")


def test_a_field_map_has_an_equal_json_schema():
    assert FIELDS.json_schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "note": {"type": ["string", "null"]},
            "x": {},
        },
        "required": ["name", "age", "tags", "x"],
    }


def test_at_most_a_hundred_problems_are_told():
    schema = Schema.from_fields({"items": "List[int]"})

    assert len(schema.problems({"items": ["x"] * 1000})) == 100


@given(
    st.dictionaries(
        st.sampled_from(list("abcd")), st.sampled_from(["str", "int", "float", "bool", "list", "dict"])
    )
)
def test_a_field_map_and_its_json_schema_judge_alike(fields):
    samples = {"str": "x", "int": 7, "float": 1.5, "bool": True, "list": [1], "dict": {"k": 1}}
    ours = Schema.from_fields(fields)
    value = {name: samples[word] for name, word in fields.items()}
    twin = Schema.from_json(ours.json_schema)

    assert ours.problems(value) == twin.problems(value) == []
    for name in fields:
        wrong = {**value, name: 7 if fields[name] == "str" else "x"}
        assert ours.problems(wrong)
        assert twin.problems(wrong)


def test_a_json_schema_decides_about_null_and_required_fields():
    schema = Schema.from_json(PERSON)

    assert schema.required == {"name"}
    assert schema.problems({"name": "Ann"}) == []
    assert schema.problems({"name": None}) == ["field 'name': this is not of type \"string\""]
    assert schema.problems({"age": "x"}) == [
        '"name" is a required property',
        "field 'age': this is not of type \"integer\"",
    ]


def test_fields_and_required_come_from_references_and_allof_too():
    schema = Schema.from_json(
        {
            "$ref": "#/$defs/base",
            "allOf": [{"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
            "properties": {"c": {}},
            "$defs": {
                "base": {"type": "object", "properties": {"a": {"$ref": "#/$defs/t"}}, "required": ["a"]},
                "t": {"type": "string"},
            },
        }
    )

    assert set(schema.fields) == {"a", "b", "c"}
    assert schema.required == {"a", "b"}
    assert schema.types_of("a") == {"string"}


@pytest.mark.parametrize(
    ("declared", "types"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["integer", "null"]}, {"integer", "null"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"integer", "null"}),
        ({"oneOf": [{"type": "string"}, {"anyOf": [{"type": "boolean"}]}]}, {"string", "boolean"}),
        ({"const": 5}, {"integer"}),
        (
            {"enum": ["a", 1.5, None, True, [], {}]},
            {"string", "number", "null", "boolean", "array", "object"},
        ),
        ({}, set()),
        (True, set()),
        ({"description": "free"}, set()),
    ],
)
def test_the_types_of_a_property_are_read_off_its_schema(declared, types):
    assert Schema.from_json({"properties": {"f": declared}}).types_of("f") == types


def test_a_field_that_is_not_declared_has_no_types():
    assert Schema.from_json(PERSON).types_of("nope") == frozenset()
    assert FIELDS.types_of("nope") == frozenset()
    assert FIELDS.types_of("x") == frozenset()


def test_equal_schemas_are_compiled_once():
    assert Schema.from_json(PERSON).json_schema is Schema.from_json(json.dumps(PERSON)).json_schema


CELLS = Schema.from_fields(
    {
        "s": "string", "i": "int", "f": "float", "b": "bool", "l": "List[int]", "d": "dict", "any": "any",
        "o": "Optional[int]", "si": "str | int", "ib": "int | bool", "fb": "bool | float",
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("s", "007", "007"),
        ("s", " a ", " a "),
        ("s", "null", "null"),
        ("s", "true", "true"),
        ("i", "007", 7),
        ("i", " -12 ", -12),
        ("i", "+5", 5),
        ("i", str(10**30), 10**30),
        ("f", "1", 1),
        ("f", "1.50", 1.5),
        ("f", "-1e3", -1000.0),
        ("f", ".5", 0.5),
        ("f", str(10**30), 10**30),
        ("b", "true", True),
        ("b", "False", False),
        ("b", "YES", True),
        ("b", "no", False),
        ("b", "1", True),
        ("b", " 0 ", False),
        ("l", "[1, 2]", [1, 2]),
        ("l", "[]", []),
        ("d", '{"a": [null]}', {"a": [None]}),
        ("any", "007", "007"),
        ("nope", "5", "5"),
        ("o", "5", 5),
        ("si", "5", "5"),
        ("ib", "1", 1),
        ("ib", "yes", True),
        ("fb", "0.5", 0.5),
        ("fb", "true", True),
    ],
)
def test_a_cell_is_read_by_the_fields_type(field, text, value):
    read = CELLS.from_cell(field, text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("field", [*CELLS.fields, "nope"])
def test_an_empty_cell_is_null(field):
    assert CELLS.from_cell(field, "") is None


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("i", "x", "field 'i': 'x' is not integer"),
        ("i", "1.0", "field 'i': '1.0' is not integer"),
        ("i", "1_000", "field 'i': '1_000' is not integer"),
        ("i", "1,000", "field 'i': '1,000' is not integer"),
        ("i", "١", "field 'i': '١' is not integer"),
        ("i", " ", "field 'i': ' ' is not integer"),
        ("i", "true", "field 'i': 'true' is not integer"),
        ("i", "9" * 4301, f"field 'i': '{'9' * 80}...' is not integer"),
        ("f", "nan", "field 'f': 'nan' is not number"),
        ("f", "Infinity", "field 'f': 'Infinity' is not number"),
        ("f", "1e999", "field 'f': '1e999' is not number"),
        ("f", "1e", "field 'f': '1e' is not number"),
        ("b", "2", "field 'b': '2' is not boolean"),
        ("b", "y", "field 'b': 'y' is not boolean"),
        ("l", "1, 2", "field 'l': '1, 2' is not array"),
        ("l", "{}", "field 'l': '{}' is not array"),
        ("l", "[NaN]", "field 'l': '[NaN]' is not array"),
        ("l", "[" * 65 + "]" * 65, f"field 'l': '{'[' * 65 + ']' * 15}...' is not array"),
        ("d", "[]", "field 'd': '[]' is not object"),
        ("o", "x", "field 'o': 'x' is not integer"),
        ("ib", "x", "field 'ib': 'x' is not boolean or integer"),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_with_field_and_text(field, text, message):
    with pytest.raises(Invalid) as caught:
        CELLS.from_cell(field, text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        ({"type": "integer"}, "7", 7),
        ({"type": ["number", "null"]}, "7.5", 7.5),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "no", False),
        ({"type": "string", "pattern": "^0"}, "007", "007"),
        ({"type": "array"}, "[1]", [1]),
        ({}, "7", "7"),
        ({"$ref": "#/$defs/t"}, "7", 7),
        ({"enum": [1, 2]}, "2", 2),
        ({"type": "null"}, "", None),
    ],
)
def test_a_json_schemas_types_rule_cells_too(declared, text, value):
    schema = Schema.from_json({"properties": {"f": declared}, "$defs": {"t": {"type": "integer"}}})

    assert schema.from_cell("f", text) == value


@given(st.integers())
def test_integers_of_any_size_are_exact(number):
    assert CELLS.from_cell("i", str(number)) == number
    assert CELLS.from_cell("f", str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_as_they_were_written(number):
    assert CELLS.from_cell("f", repr(number)) == number


@given(st.text(min_size=1))
def test_text_in_a_string_field_is_never_changed(text):
    assert CELLS.from_cell("s", text) == text


@given(
    st.text(min_size=1),
    st.sampled_from(["int", "float", "bool", "list", "dict", "int | bool", "Optional[float]"]),
)
def test_whatever_a_cell_holds_it_is_read_as_its_type_or_refused(text, word):
    schema = Schema.from_fields({"f": word})
    try:
        value = schema.from_cell("f", text)
    except Invalid:
        return
    assert value is not None
    assert schema.problems({"f": value}) == []
