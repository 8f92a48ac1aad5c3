"""A router's conditions: each operator, and how they join."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.conditions import Condition, Join, Operator, holds
from rowel.core.errors import Invalid

#: What a variable or a value may be.
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def match(actual, operator, value=None):
    return Condition("node.x", operator, value).matches({"node": {"x": actual}})


@pytest.mark.parametrize(
    ("actual", "value"),
    [
        ("urgent: printer", "urgent"),
        ("abc", "abc"),
        ("abc", ""),
        (["a", "b"], "b"),
        ([1, 2], 2),
        ([1, 2], "2"),
        ([{"a": 1}], {"a": 1}),
        ({"key": 1}, "key"),
        (12345, "234"),
        (12345, 234),
        (True, "ru"),
    ],
)
def test_contains_finds_parts_of_text_items_and_keys(actual, value):
    assert match(actual, "contains", value)


@pytest.mark.parametrize(
    ("actual", "value"),
    [
        ("Urgent", "urgent"),
        ("", "a"),
        (["very urgent"], "urgent"),
        ([], ""),
        ({"key": "value"}, "value"),
        (None, ""),
        (None, "null"),
    ],
)
def test_contains_finds_nothing_else(actual, value):
    assert not match(actual, "contains", value)


@pytest.mark.parametrize(
    ("actual", "value"),
    [
        ("a", "a"),
        ("", ""),
        (10, "10"),
        ("10", 10),
        (1.5, 1.5),
        (True, True),
        (True, "true"),
        (True, "True"),
        ("FALSE", False),
        ([1, "a"], [1, "a"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, 2], "[1, 2]"),
        (None, None),
        ("é", "é"),
    ],
)
def test_equals_compares_as_text(actual, value):
    assert match(actual, "equals", value)


@pytest.mark.parametrize(
    ("actual", "value"),
    [
        ("a", "A"),
        ("a", " a"),
        (10, "10.0"),
        (10, 10.0),
        (1, True),
        ("", None),
        ("yes", True),
        ([1, 2], [2, 1]),
    ],
)
def test_equals_compares_text_exactly(actual, value):
    assert not match(actual, "equals", value)


@pytest.mark.parametrize(
    ("actual", "value"),
    [
        (10, 10),
        (10, 10.0),
        ("10", 10),
        (" 10.0 ", "1e1"),
        (0.1, "0.1"),
        ("+5", 5),
        (".5", 0.5),
        ("5.", 5),
        (10**30, str(10**30)),
        (-0.0, 0),
    ],
)
def test_number_equals_compares_as_numbers(actual, value):
    assert match(actual, "number_equals", value)
    assert not match(actual, "greater_than", value)
    assert not match(actual, "less_than", value)


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (1, 2),
        ("9", "10"),
        ("-1", 0),
        (1.5, 2),
        (10**30, 10**30 + 1),
        (2**53, 2**53 + 1),
        (float(2**53), 2**53 + 1),
        ("1e5", 100_001),
        ("-1e999999999", "1e999999999"),
        (5, "1e400"),
    ],
)
def test_greater_and_less_are_exact(small, large):
    assert match(large, "greater_than", small)
    assert match(small, "less_than", large)
    assert not match(small, "greater_than", large)
    assert not match(large, "less_than", small)
    assert not match(small, "number_equals", large)


@pytest.mark.parametrize(
    "odd",
    [
        "ten", "", " ", "nan", "NaN", "inf", "-Infinity", "1_000", "1,000", "0x10", "١٢", "1e", "--1", "1e9999999999",
        True, False, None, [], [1], {}, float("nan"), float("inf"), "1" * 5000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("operator", ["number_equals", "greater_than", "less_than"])
def test_what_is_no_number_never_matches(odd, operator):
    for number in (-1, 0, 1, 1000, odd):
        assert not match(odd, operator, number)
        assert not match(number, operator, odd)


def test_an_integer_too_long_to_be_written_never_matches():
    assert not match(10**5000, "greater_than", 1)
    assert not match(1, "less_than", 10**5000)


@pytest.mark.parametrize(
    ("actual", "value", "starts"),
    [
        ("hello", "he", True),
        ("hello", "", True),
        ("hello", "He", False),
        ("hello", "ello", False),
        (123, "12", True),
        (123, 12, True),
        ("", "a", False),
        ([1, 2], "[1", True),
    ],
)
def test_starts_with_and_its_opposite(actual, value, starts):
    assert match(actual, "starts_with", value) is starts
    assert match(actual, "not_starts_with", value) is not starts


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_null_and_empty_values_are_empty(empty):
    assert match(empty, "is_empty")
    assert not match(empty, "is_not_empty")


@pytest.mark.parametrize("value", [0, 0.0, False, " ", "0", [None], {"a": None}, [[]]])
def test_zero_and_false_are_values(value):
    assert match(value, "is_not_empty")
    assert not match(value, "is_empty")


@pytest.mark.parametrize("operator", [operator for operator in Operator if operator is not Operator.IS_EMPTY])
@pytest.mark.parametrize("variable", ["node.nope", "nope", "node.x.y", "", "node.list.7", "node.x[0]"])
def test_a_missing_variable_matches_nothing(operator, variable):
    condition = Condition(variable, operator, "a")

    assert not condition.matches({"node": {"x": "a", "list": []}})


@pytest.mark.parametrize("variable", ["node.nope", "nope", ""])
def test_a_missing_variable_is_empty(variable):
    assert Condition(variable, Operator.IS_EMPTY).matches({"node": {}})


@pytest.mark.parametrize(
    "operator", ["contains", "number_equals", "greater_than", "less_than", "starts_with", "not_starts_with"]
)
def test_null_matches_no_comparison(operator):
    assert not match(None, operator, "n")
    assert not match(None, operator, None)


def test_the_variable_is_a_path():
    values = {"Draft reply": {"items": [{"state": "ok"}]}}

    assert Condition("Draft reply.items.0.state", "equals", "ok").matches(values)


def always(join=None):
    return Condition("n.x", "is_not_empty", logical_operator=join)


def never(join=None):
    return Condition("n.x", "is_empty", logical_operator=join)


VALUES = {"n": {"x": 1}}


@pytest.mark.parametrize(
    ("conditions", "result"),
    [
        ([], True),
        ([always()], True),
        ([never()], False),
        ([always(), always()], True),
        ([always(), never()], False),
        ([never(), always("OR")], True),
        ([always(), never("OR")], True),
        ([always(), always("OR"), never("AND")], False),
        ([always(), never("AND"), always("OR")], True),
        ([never(), always("OR"), always("AND"), never("OR")], True),
    ],
)
def test_conditions_join_from_left_to_right(conditions, result):
    assert holds(conditions, VALUES) is result


@pytest.mark.parametrize("join", ["AND", "OR"])
def test_the_first_ones_join_is_ignored(join):
    assert holds([never(join)], VALUES) is False
    assert holds([always(join)], VALUES) is True


@pytest.mark.parametrize(
    ("word", "join"), [("or", Join.OR), (" And ", Join.AND), ("", Join.AND), (None, Join.AND)]
)
def test_joins_are_read_in_any_case_and_and_is_the_default(word, join):
    assert Condition("a", "equals", 1, word).logical_operator is join


def test_operators_are_read_in_any_case():
    assert Condition("a", "Is_Empty").operator is Operator.IS_EMPTY


def test_an_unknown_operator_is_refused_with_those_there_are():
    with pytest.raises(
        Invalid, match=r"operator 'like' is not one of contains, equals, number_equals, .*is_not_empty"
    ):
        Condition("a", "like", 1)


def test_an_unknown_join_is_refused():
    with pytest.raises(Invalid, match="logicalOperator 'XOR' is neither AND nor OR"):
        Condition("a", "equals", 1, "XOR")


@given(ANYTHING, st.sampled_from(list(Operator)), ANYTHING)
def test_no_values_make_a_condition_raise(actual, operator, value):
    assert match(actual, operator, value) in (True, False)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.integers())
def test_of_three_numeric_relations_exactly_one_holds(left, right):
    found = [match(left, operator, right) for operator in ("less_than", "number_equals", "greater_than")]

    assert found == [left < right, left == right, left > right] or isinstance(left, float)
    assert sum(found) == 1


@given(st.integers(), st.integers())
def test_numbers_and_their_texts_are_the_same(left, right):
    for operator in ("less_than", "number_equals", "greater_than"):
        assert match(left, operator, right) == match(str(left), operator, json.dumps(right))


@given(st.text(), st.text())
def test_text_contains_and_starts_with_what_python_says(text, part):
    assert match(text, "contains", part) == (part in text)
    assert match(text, "starts_with", part) == text.startswith(part)
    assert match(text, "not_starts_with", part) != match(text, "starts_with", part)


@given(ANYTHING)
def test_everything_is_either_empty_or_not(value):
    assert match(value, "is_empty") != match(value, "is_not_empty")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["AND", "OR"])), min_size=1, max_size=8))
def test_joining_is_folding_from_the_left(steps):
    conditions = [(always if is_true else never)(join) for is_true, join in steps]
    expected = steps[0][0]
    for is_true, join in steps[1:]:
        expected = (expected or is_true) if join == "OR" else (expected and is_true)

    assert holds(conditions, VALUES) is expected
