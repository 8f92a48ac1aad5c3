"""JSON is read strictly, and what was read comes back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import Invalid
from rowel.core.jsontext import MAX_DIGITS, check_text, depth, dump, kind, parse

#: Any text Python can hold, lone surrogates and NUL included.
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def refused(text, **options):
    with pytest.raises(Invalid) as caught:
        parse(text, **options)
    return caught.value.message


def nested(levels):
    return "[" * levels + "]" * levels


@given(VALUES)
def test_a_value_comes_back_as_it_was(value):
    assert parse(dump(value)) == value


@given(VALUES)
def test_what_is_written_is_ascii_on_one_line(value):
    text = dump(value)

    assert text.isascii()
    assert "\n" not in text


@given(st.text(max_size=40))
def test_whatever_the_text_is_it_is_read_or_refused(text):
    try:
        value = parse(text)
    except Invalid:
        return
    assert value == json.loads(text.removeprefix("\ufeff"))


@given(st.binary(max_size=40))
def test_whatever_the_bytes_are_they_are_read_or_refused(data):
    try:
        value = parse(data)
    except Invalid:
        return
    assert value == json.loads(data.decode().removeprefix("\ufeff"))


@pytest.mark.parametrize(
    "value",
    [10**40, -(2**63) - 1, "a\0b", "\ud800", {"\udfff": "\0"}, 1e308, 5e-324, -0.0, "é😀", [], {}, ""],
)
def test_odd_values_come_back_as_they_were(value):
    assert parse(dump(value)) == value
    assert repr(parse(dump(value))) == repr(value)


def test_an_integer_stays_an_integer_and_a_float_a_float():
    assert [type(number) for number in parse("[1, 1.0, 1e2]")] == [int, float, float]


def test_of_equal_keys_the_last_wins():
    assert parse('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("text", ["\ufeff[1]", "\ufeff[1]".encode(), b"[1]", " [1]\n"])
def test_a_byte_order_mark_and_white_space_are_skipped(text):
    assert parse(text) == [1]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused_by_name(word):
    assert word in refused(f'{{"a": {word}}}')


@pytest.mark.parametrize("text", ["1e999", "-1e999", "[1e400]"])
def test_a_number_too_large_for_a_float_is_refused(text):
    assert "too large" in refused(text)


def test_a_syntax_error_says_line_and_column():
    assert refused('{\n  "a": 1,\n  b\n}').endswith("at line 3, column 3")


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "{'a': 1}", '{"a" 1}', "01", "1.", "+1", "tru", '"\n"', "1 2"]
)
def test_what_is_not_json_is_refused(text):
    assert refused(text).startswith("not valid JSON: ")


def test_bad_utf8_is_refused_with_its_place():
    assert refused(b'{"a": "\xff"}') == "not valid UTF-8: invalid start byte at byte 7"


@pytest.mark.parametrize(
    "data", ["[1]".encode("utf-16"), "[1]".encode("utf-32"), "[\ud800]".encode("utf-8", "surrogatepass")]
)
def test_other_encodings_are_refused(data):
    assert refused(data).startswith("not valid")


def test_values_may_nest_as_deep_as_the_limit():
    assert depth(parse(nested(64))) == 64
    assert depth(parse(nested(3), max_depth=3)) == 3


@pytest.mark.parametrize("levels", [65, 900, 5_000, 100_000])
def test_deeper_json_is_refused_where_it_gets_too_deep(levels):
    assert refused(nested(levels)) == "JSON nested deeper than 64 levels at line 1, column 65"


def test_objects_count_as_levels_and_brackets_in_text_do_not():
    text = '{"[[[[": {"a\\"[": [1]}}'

    assert depth(parse(text, max_depth=3)) == 3
    assert refused(text, max_depth=2) == "JSON nested deeper than 2 levels at line 1, column 19"


def test_deep_json_that_never_closes_is_refused_as_well():
    assert "deeper than 64" in refused("[" * 100_000)
    assert "deeper than 64" in refused('{"a":' * 100_000)


def test_the_place_of_a_level_too_deep_counts_lines():
    assert refused("[\n[\n  [1]]]", max_depth=2).endswith("line 3, column 3")


def test_an_integer_may_have_as_many_digits_as_the_limit():
    assert parse("9" * MAX_DIGITS) == int("9" * MAX_DIGITS)


def test_a_longer_integer_is_refused_with_its_place():
    text = '["1' + "1" * 5000 + '",\n ' + "1" * (MAX_DIGITS + 1) + "]"

    assert refused(text) == "an integer of 4,301 digits at line 2, column 2; the limit is 4,300"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [float("-inf")], {"a": {1}}, object(), b"x", {(1,): 2}]
)
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises(Invalid, match="can't be written as JSON"):
        dump(value)


def test_a_value_inside_itself_is_not_written():
    value: list[object] = []
    value.append(value)

    with pytest.raises(Invalid, match="can't be written as JSON"):
        dump(value)


def test_a_value_too_deep_for_the_writer_is_refused():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(Invalid, match="nested too deep"):
        dump(value)


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ("[[", 0), ([], 1), ({}, 1), ([[], [[1]]], 3), ({"a": [{"b": 1}]}, 3)]
)
def test_depth_counts_the_levels_around_the_innermost_value(value, levels):
    assert depth(value) == levels


def test_depth_of_a_very_deep_value_is_counted_without_recursion():
    value: list[object] = []
    for _ in range(50_000):
        value = [value]

    assert depth(value) == 50_001


@pytest.mark.parametrize("text", ["", "a", "Zoë 😀", "a b-c.d", "x" * 256, "\u2028"])
def test_text_that_can_be_shown_is_a_name(text):
    assert check_text(text, "the title", 256) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 257, "the title has 257 characters; the limit is 256"),
        ("a\0", "the title contains the control character U+0000 at position 1"),
        ("\x1b[31m", "the title contains the control character U+001B at position 0"),
        ("a\nb", "the title contains the control character U+000A at position 1"),
        ("\x7f", "the title contains the control character U+007F at position 0"),
        ("ab\x9f", "the title contains the control character U+009F at position 2"),
        ("a\ud83d", "the title contains a lone surrogate at position 1: it is not valid Unicode"),
        (None, "the title must be text, not null"),
        (7, "the title must be text, not an integer"),
        (["a"], "the title must be text, not a list"),
    ],
)
def test_what_is_no_name_is_refused_with_the_reason(text, message):
    with pytest.raises(Invalid) as caught:
        check_text(text, "the title", 256)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (True, "true or false"),
        (1, "an integer"),
        (1.5, "a number"),
        ("", "text"),
        ({}, "an object"),
        ([], "a list"),
        (b"", "bytes"),
    ],
)
def test_a_value_is_called_by_its_json_word(value, word):
    assert kind(value) == word
