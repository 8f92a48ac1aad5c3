"""The type words of field maps, and what fits them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import Invalid
from rowel.core.fieldtypes import parse_type


def problems(word, value):
    return list(parse_type(word).problems(value, "f"))


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (("string", "str", "String", "STR", " str "), ("string",)),
        (("integer", "int", "Int", "INTEGER"), ("integer",)),
        (("number", "float", "Float"), ("number",)),
        (("boolean", "bool", "Bool"), ("boolean",)),
        (("list", "List", "array"), ("array",)),
        (("dict", "Dict", "object"), ("object",)),
        (("any", "Any", "typing.Any"), ("any",)),
        (
            ("Optional[int]", "int | None", "Union[int, None]", "optional[INT]", "int|null"),
            ("integer", "null"),
        ),
        (("Union[str, int]", "str | int", "string|integer"), ("string", "integer")),
    ],
)
def test_every_spelling_of_a_type_is_the_same_type(words, kinds):
    assert {parse_type(word).kinds for word in words} == {kinds}


@pytest.mark.parametrize(
    ("word", "schema"),
    [
        ("str", {"type": "string"}),
        ("any", {}),
        ("List[str]", {"type": "array", "items": {"type": "string"}}),
        ("list[List[int]]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        ("Dict[str, int]", {"type": "object", "additionalProperties": {"type": "integer"}}),
        ("Dict[int]", {"type": "object", "additionalProperties": {"type": "integer"}}),
        ("List[any]", {"type": "array", "items": {}}),
        ("Optional[List[float]]", {"type": ["array", "null"], "items": {"type": "number"}}),
        ("List[Optional[bool]]", {"type": "array", "items": {"type": ["boolean", "null"]}}),
    ],
)
def test_a_type_has_an_equal_json_schema(word, schema):
    assert parse_type(word).json_schema == schema


@pytest.mark.parametrize(
    "word",
    [
        "strin", "", " ", "[", "]", "List[", "List[]", "List[str", "List]", "List[str, int]",
        "Dict[str, int, int]", "str[int]", "Optional", "Union", "str |", "| str", "str int", "int?",
        "List[foo]", "tuple", "str, int", "Dict[str,]", "1", "Optional[]",
    ],
)  # fmt: skip
def test_an_unknown_word_is_refused_with_those_there_are(word):
    with pytest.raises(
        Invalid, match=r"unknown type .*; known are string, int, float, bool, list, dict, any"
    ):
        parse_type(word)


@pytest.mark.parametrize("word", [None, 1, {}, {"type": "string"}, ["str"], True])
def test_a_type_is_a_word(word):
    with pytest.raises(Invalid, match="a type must be a word"):
        parse_type(word)


@pytest.mark.parametrize("word", ["List[" * 1000 + "str" + "]" * 1000, "x" * 201])
def test_a_very_long_type_is_refused(word):
    with pytest.raises(Invalid, match="the limit is 200"):
        parse_type(word)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("str", ""),
        ("str", "\ud800\0"),
        ("int", 0),
        ("int", 10**40),
        ("float", 1),
        ("float", 1.5),
        ("float", 10**400),
        ("bool", False),
        ("list", []),
        ("list", [1, "a", None]),
        ("dict", {"a": [None]}),
        ("any", None),
        ("any", {"a": 1}),
        ("List[str]", ["a"]),
        ("Dict[str, int]", {"a": 1}),
        ("Optional[int]", None),
        ("str | int", 1),
        ("str | int", "1"),
        ("List[Optional[int]]", [None, 1]),
        ("List[str] | str", "a"),
    ],
)
def test_values_that_fit_have_no_problems(word, value):
    assert problems(word, value) == []


@pytest.mark.parametrize(
    ("word", "value", "problem"),
    [
        ("str", 1, "field 'f': expected string, got an integer"),
        ("int", "1", "field 'f': expected integer, got text"),
        ("int", True, "field 'f': expected integer, got true or false"),
        ("int", 3.0, "field 'f': expected integer, got a number"),
        ("float", "1.5", "field 'f': expected number, got text"),
        ("float", False, "field 'f': expected number, got true or false"),
        ("float", float("nan"), "field 'f': expected number, got a number"),
        ("bool", 1, "field 'f': expected boolean, got an integer"),
        ("list", {}, "field 'f': expected array, got an object"),
        ("dict", [], "field 'f': expected object, got a list"),
        ("str", None, "field 'f': expected string, got null"),
        ("str | int", [], "field 'f': expected string or integer, got a list"),
        ("List[str]", ["a", 1], "field 'f[1]': expected string, got an integer"),
        ("List[str]", [None], "field 'f[0]': expected string, got null"),
        ("List[List[int]]", [[1], [2, "x"]], "field 'f[1][1]': expected integer, got text"),
        ("Dict[str, int]", {"a": 1, "b": "x"}, "field 'f.b': expected integer, got text"),
        ("Dict[str, List[int]]", {"b": ["x"]}, "field 'f.b[0]': expected integer, got text"),
        ("List[int]", "ab", "field 'f': expected array of integer, got text"),
    ],
)
def test_a_value_that_does_not_fit_is_told_by_its_place(word, value, problem):
    assert problems(word, value) == [problem]


def test_every_wrong_item_is_told():
    assert len(problems("List[int]", ["a", 1, "b", None])) == 3


WORDS = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "any", "list", "dict"]),
    lambda inner: st.one_of(
        inner.map("List[{}]".format),
        inner.map("Dict[str, {}]".format),
        inner.map("Optional[{}]".format),
        st.tuples(inner, inner).map(" | ".join),
    ),
    max_leaves=4,
)


@given(WORDS)
def test_types_of_any_shape_are_read(word):
    if len(word) <= 200:
        assert parse_type(word).kinds


@given(st.text("aListstrint[], |", max_size=30))
def test_whatever_the_word_is_it_is_read_or_refused(word):
    try:
        found = parse_type(word)
    except Invalid:
        return
    assert found.kinds
