"""JSON Schemas judge exactly, fetch nothing and always come to an end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core import jsonschemas
from rowel.core.errors import Invalid
from rowel.core.jsonschemas import compile_schema
from rowel.core.schemacost import measure

HERE = {"$ref": "#"}


def problems(schema, value):
    return list(compile_schema(schema).problems(value))


def refusal(schema):
    with pytest.raises(Invalid) as caught:
        compile_schema(schema)
    return caught.value.message


def definition(name):
    return {"$ref": f"#/$defs/{name}"}


def chain(length, step, end):
    """`step` leads from each definition to the next, `length` times."""
    parts = {f"d{number}": step(definition(f"d{number + 1}")) for number in range(length)}
    return {"$defs": {**parts, f"d{length}": end}, **definition("d0")}


def nest(levels, innermost=1):
    value = innermost
    for _ in range(levels):
        value = {"c": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 10**40),
        ({"type": "integer"}, 3.0),
        ({"type": "number"}, 1),
        ({"const": 10**40}, 10**40),
        ({"enum": [2**70]}, 2**70),
        ({"maximum": 10**30}, 10**30),
        ({"multipleOf": 3}, 3**60),
        ({"const": 9007199254740993}, 9007199254740993),
        ({"maxLength": 3}, "a\0b"),
        ({"type": "string"}, "\ud800"),
        ({"maxLength": 1}, "\udfff"),
        ({"properties": {"a": {"type": "string"}}}, {"\ud800": 1, "a": "x"}),
        ({"pattern": r"^\d{3}$"}, "123"),
        ({"pattern": r"^(?=.*\d).{3,}$"}, "abc1"),
        ({"pattern": r"^(\w)\1$"}, "aa"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}, 2),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}, ["a", 1]),
        ({"items": {"type": "integer"}}, (1, 2)),
        ({}, None),
        ({"unknownKeyword": {"$ref": "http://nowhere"}}, 1),
    ],
)
def test_what_fits_has_no_problems(schema, value):
    assert problems(schema, value) == []


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "integer"}, True, 'this is not of type "integer"'),
        ({"type": "integer"}, "7", 'this is not of type "integer"'),
        ({"const": 10**40}, 10**40 + 1, f"{10**40} was expected"),
        ({"const": 9007199254740993}, 9007199254740992.0, "9007199254740993 was expected"),
        ({"maximum": 10**30}, 10**30 + 1, f"this is greater than the maximum of {10**30}"),
        ({"multipleOf": 2}, 2**70 + 1, "this is not a multiple of 2"),
        ({"required": ["a"]}, {}, '"a" is a required property'),
        ({"items": {"type": "string"}}, ["a", 1], "field '[1]': this is not of type \"string\""),
        (
            {"properties": {"a": {"items": {"type": "string"}}}},
            {"a": [1]},
            "field 'a[0]': this is not of type \"string\"",
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"b": 1},
            "Additional properties are not allowed ('b' was unexpected)",
        ),
        ({"properties": {"a": False}}, {"a": 1}, "field 'a': this is not allowed"),
        ({"pattern": r"^(?=.*\d).{3,}$"}, "abcd", r'this does not match "^(?=.*\d).{3,}$"'),
        ({"type": "integer"}, "\ud800", 'this is not of type "integer"'),
    ],
)
def test_what_does_not_fit_is_told_by_its_place(schema, value, problem):
    assert problems(schema, value) == [problem]


def test_messages_hold_no_values():
    schema = {"properties": {"a": {"maxLength": 3, "enum": ["a", "b"], "pattern": "^x"}}}

    found = problems(schema, {"a": "sk-secret"})

    assert len(found) == 3
    assert "sk-secret" not in "".join(found)


def test_messages_are_cut_where_keys_or_choices_are_long():
    assert all(
        len(text) < 700
        for text in problems({"properties": {"a": {}}, "additionalProperties": False}, {"x" * 100_000: 1})
    )
    assert all(len(text) < 700 for text in problems({"enum": ["x" * 100_000]}, 1))


@pytest.mark.parametrize("value", [{1}, object(), b"x", {1: {2}}])
def test_what_is_no_json_is_told_and_not_raised(value):
    assert problems({"type": "object"}, value)[0].startswith("this is not a JSON value")


@pytest.mark.parametrize("schema", ["[]", "3", '"x"', "true", "null", [], 3, True, None])
def test_a_schema_is_an_object(schema):
    assert refusal(schema).startswith("a JSON schema must be an object")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "strin"}, "not a valid JSON schema at type: "),
        ({"properties": {"a": {"type": "strin"}}}, "not a valid JSON schema at properties.a.type: "),
        ({"properties": 3}, "not a valid JSON schema at properties: "),
        ({"required": "a"}, "not a valid JSON schema at required: "),
        ({"minLength": -1}, "not a valid JSON schema at minLength: "),
        ({"allOf": {}}, "not a valid JSON schema at allOf: "),
        ({"pattern": "("}, "not a valid JSON schema at pattern: "),
        ({"pattern": "((a{0,100}){0,100}){0,100}{0,100}"}, "not a valid JSON schema at pattern: "),
        ({"$schema": "http://example.com/mine"}, "not a valid JSON schema: Unknown meta-schema"),
        ({"$schema": 5}, "not a valid JSON schema at $schema: "),
        ({"$id": "ht tp://["}, "not a valid JSON schema: "),
        ({"const": "\ud800"}, "not a valid JSON schema: "),
        ("{", "not valid JSON"),
        ('{"const": 1e999}', "not valid JSON: the number 1e999 is too large"),
    ],
)
def test_an_invalid_schema_is_refused_with_the_place(schema, message):
    assert refusal(schema).startswith(message)


@pytest.mark.parametrize(
    "reference",
    [
        "http://example.com/x",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///etc/passwd",
        "other.json",
        "urn:x",
        "/etc",
        "x#/$defs/a",
    ],
)
@pytest.mark.parametrize("word", ["$ref", "$dynamicRef", "$recursiveRef"])
def test_a_reference_that_leads_out_is_refused_and_nothing_is_fetched(reference, word):
    assert refusal({"properties": {"a": {word: reference}}}) == (
        f"{word} {reference!r} leads out of the schema; only '#...' is followed"
    )


@pytest.mark.parametrize("where", [*["$defs", "properties", "patternProperties", "dependentSchemas"]])
@pytest.mark.parametrize(
    "wrap", [lambda part: part, lambda part: {"allOf": [part]}, lambda part: {"items": part}]
)
def test_references_are_found_in_every_part(where, wrap):
    assert "leads out" in refusal({where: {"a": wrap({"$ref": "http://x"})}})


@pytest.mark.parametrize(
    "word",
    [
        "not",
        "if",
        "then",
        "else",
        "items",
        "contains",
        "additionalProperties",
        "unevaluatedItems",
        "propertyNames",
    ],
)
def test_references_are_found_under_every_keyword(word):
    assert "leads out" in refusal({word: {"$ref": "http://x"}})


@pytest.mark.parametrize(
    "reference",
    ["#/nope", "#/properties/b", "#nope", "#/properties/a/type", "#/properties/", "#/allOf/7", "#/allOf/x"],
)
def test_a_reference_to_no_part_is_refused(reference):
    schema = {"properties": {"a": {"type": "integer"}, "c": {"$ref": reference}}, "allOf": [{}]}

    assert refusal(schema) == f"$ref {reference!r} names no part of the schema"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$defs": {"a": {"type": "integer"}}, "$ref": "#/$defs/a"}, "x"),
        ({"$defs": {"a/b~c%": {"type": "integer"}}, "$ref": "#/$defs/a~1b~0c%25"}, "x"),
        ({"definitions": {"a": {"type": "integer"}}, "allOf": [{"$ref": "#/definitions/a"}]}, "x"),
        ({"$defs": {"a": {"$anchor": "n", "type": "integer"}}, "$ref": "#n"}, "x"),
        ({"$defs": {"a": {"$dynamicAnchor": "n", "type": "integer"}}, "$dynamicRef": "#n"}, "x"),
        ({"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}}, {"b": "x"}),
        (
            {
                "allOf": [{"maxProperties": 5}],
                "properties": {"b": {"$ref": "#/allOf/0"}, "c": {"type": "integer"}},
            },
            {"c": "x"},
        ),
        ({"components": {"a": {"type": "integer"}}, "$ref": "#/components/a"}, "x"),
        ({"$id": "http://example.com/mine", "$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}}, "x"),
    ],
)
def test_references_to_own_parts_are_followed(schema, value):
    assert len(problems(schema, value)) == 1


def test_a_reference_in_data_is_data():
    schema = {
        "enum": [{"$ref": "http://x"}],
        "default": {"$ref": "http://x"},
        "examples": [{"$id": "http://y"}],
    }

    assert problems(schema, {"$ref": "http://x"}) == []


def test_properties_may_be_called_like_keywords():
    schema = {
        "properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}, "allOf": {"type": "string"}}
    }

    assert problems(schema, {"$ref": "x", "$id": "y", "allOf": "z"}) == []


@pytest.mark.parametrize("part", [{"$id": "http://x"}, {"$id": "#a"}, {"id": "x", "type": "string"}])
def test_only_the_whole_schema_has_an_id(part):
    assert refusal({"properties": {"a": part}}).startswith("a part of the schema has an '$id' of its own")


@pytest.mark.parametrize(
    "schema",
    [
        HERE,
        {"allOf": [HERE]},
        {"anyOf": [{"type": "string"}, HERE]},
        {"not": HERE},
        {"if": {"type": "string"}, "then": HERE},
        {"dependentSchemas": {"a": HERE}},
        {"$defs": {"a": definition("b"), "b": definition("a")}},
        {
            "$defs": {
                "a": {"allOf": [definition("b")]},
                "b": {"oneOf": [definition("c")]},
                "c": {"not": definition("a")},
            }
        },
        {"properties": {"x": {"anyOf": [{"$ref": "#/properties/x"}]}}},
        {"$defs": {"a": {"$dynamicAnchor": "n", "$dynamicRef": "#n"}}},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"},
    ],
)
def test_a_reference_that_comes_back_to_the_same_value_is_refused(schema):
    assert refusal(schema) == "a part of the schema refers to itself without end"


TREE = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "c": {"type": "array", "items": HERE}},
    "required": ["n"],
}
EITHER = {
    "$defs": {
        "n": {
            "anyOf": [
                {"type": "object", "properties": {"c": definition("n")}, "maxProperties": 9 + extra}
                for extra in (0, 1)
            ]
        }
    },
    **definition("n"),
}


def test_recursion_through_parts_of_the_value_is_lawful():
    assert problems(TREE, {"n": 1, "c": [{"n": 2, "c": []}]}) == []
    assert problems(TREE, {"n": 1, "c": [{"n": 2, "c": [{"c": []}]}]}) == [
        "field 'c[0].c[0]': \"n\" is a required property"
    ]


@pytest.mark.parametrize("levels", [2, 20, 60])
def test_recursion_in_two_ways_at_once_comes_to_an_end(levels):
    assert problems(EITHER, nest(levels, {})) == []
    assert len(problems(EITHER, nest(levels))) == 1


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_parts_that_double_at_every_step_are_refused(word):
    schema = chain(30, lambda following: {word: [following, following]}, {"type": "string"})

    assert "refer to each other too often" in refusal(schema)


def test_doubling_through_parts_of_the_value_is_refused():
    schema = chain(40, lambda following: {"allOf": [{"properties": {"c": following}}] * 2}, {})

    assert "refer to each other too often" in refusal(schema)


def test_a_little_doubling_is_lawful():
    schema = chain(6, lambda following: {"allOf": [following, following]}, {"type": "string"})

    assert problems(schema, "x") == []
    assert len(problems(schema, 1)) == 64


def test_a_long_chain_of_references_is_refused_and_a_short_one_is_lawful():
    end = {"type": "string"}

    assert problems(chain(100, lambda following: following, end), 1) == ['this is not of type "string"']
    assert "in a row" in refusal(chain(300, lambda following: following, end))


def test_a_long_chain_through_parts_of_the_value_is_lawful():
    schema = chain(3_000, lambda following: {"properties": {"c": following}}, {"type": "string"})

    assert problems(schema, nest(50)) == []


def test_a_schema_has_a_limited_number_of_parts():
    assert "10,000 parts" in refusal({"properties": {f"f{number}": {} for number in range(10_001)}})
    assert (
        problems({"properties": {f"f{number}": {"type": "string"} for number in range(9_000)}}, {"f1": "x"})
        == []
    )


def test_a_schema_has_a_limited_size():
    limit = jsonschemas.MAX_TEXT

    assert "the limit is 1,048,576" in refusal(json.dumps({"description": "x" * limit}))
    assert "the limit is 1,048,576" in refusal({"description": "x" * limit})


def test_a_schema_nests_64_levels_at_most():
    assert compile_schema('{"not":' * 63 + "{}" + "}" * 63)
    assert "64 levels" in refusal('{"not":' * 64 + "{}" + "}" * 64)
    deep: dict[str, object] = {}
    for _ in range(70):
        deep = {"x": deep}
    assert "64 levels" in refusal(deep)


def test_a_value_deeper_than_the_validator_can_go_is_told():
    assert problems({}, nest(50_000)) == ["the value nests deeper than 200 levels"]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "(.*a){20}$", "^(a?){60}a{60}$"])
def test_no_pattern_hangs_on_a_long_text(pattern):
    assert len(problems({"pattern": pattern}, "a" * 500_000 + "b")) in (0, 1)


@pytest.mark.parametrize("pattern", ["^(?=a)(a+)+$", r"^(?:(?=.*a)a)*$", r"^(a*)*\1b$"])
def test_patterns_with_look_around_judge_short_texts_and_refuse_long_ones(pattern):
    assert len(problems({"pattern": pattern}, "a" * 30 + "b")) in (0, 1)
    assert problems({"pattern": pattern}, "a" * 100_000) == [
        "the value has too long a text for a schema whose patterns use look-around"
    ]


def test_long_texts_count_wherever_they_are():
    schema = {"propertyNames": {"pattern": "(?=a)"}, "additionalProperties": True}

    for value in ({"a" * 100_000: 1}, {"a": ["a" * 100_000]}, {"a": ["a" * 10_000] * 100}):
        assert "too long a text" in problems(schema, value)[0]


def test_of_a_large_value_the_first_problem_is_told():
    assert problems({"items": {"type": "string"}}, ["a"] * 1000 + [1] * 100_000) == [
        "field '[1000]': this is not of type \"string\""
    ]


def test_of_a_large_value_with_alternatives_it_is_told_that_it_does_not_fit():
    schema = {"items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}

    assert problems(schema, [1] * 100_000) == [
        "the value doesn't fit the schema; it is too large to say where"
    ]
    assert problems(schema, ["a"] * 100_000) == []


def test_a_large_value_and_many_alternatives_are_too_much():
    many = chain(10, lambda following: {"anyOf": [following, following]}, {"type": "string"})
    schema = {"$defs": many["$defs"], "items": definition("d0")}

    assert problems(schema, ["a"] * 100) == []
    assert problems(schema, ["a"] * 100_000) == [
        "the value is too large for a schema with that many alternatives"
    ]


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (1, (1, 0)),
        ([], (1, 1)),
        ([1, 2], (3, 1)),
        ({"a": [1], "b": 2}, (4, 2)),
        ((1, (2,)), (4, 2)),
        ("text", (1, 0)),
    ],
)
def test_the_size_of_a_value_is_its_values_and_its_levels(value, size):
    assert measure(value) == size


WORDS = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": WORDS})
    | st.just({})
    | st.sampled_from([definition("a"), definition("b"), HERE]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2)}),
        st.fixed_dictionaries({"items": inner, "unevaluatedProperties": inner}),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=8,
)


@given(SCHEMAS, SCHEMAS, SCHEMAS, VALUES)
def test_schemas_of_any_shape_are_refused_or_judge(root, a, b, value):
    try:
        compiled = compile_schema({**root, "$defs": {"a": a, "b": b}})
    except Invalid:
        return
    for problem in compiled.problems(value):
        assert problem
