"""Paths lead to what they name, or say which part is missing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import Invalid
from rowel.core.paths import NOTHING, find, look_up, what_is_there

VALUES = {
    "input_node": {"ticket": {"subject": "Hi", "tags": ["a", {"name": "b"}]}, "n": None, "zero": 0},
    "Draft reply": {"output": "x"},
    "v1.2": {"field": 1, "field.b": 2},
    "v1": {"2": {"only": "here"}},
    "node-1": {"output": [[1, 2], [3]]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("input_node", VALUES["input_node"]),
        ("input_node.ticket.subject", "Hi"),
        ("input_node.ticket.tags.0", "a"),
        ("input_node.ticket.tags[0]", "a"),
        ("input_node.ticket.tags.1.name", "b"),
        ("input_node.ticket.tags[1].name", "b"),
        ("input_node.ticket.tags[-1].name", "b"),
        ("input_node.ticket.tags.-2", "a"),
        ("input_node['ticket'].subject", "Hi"),
        ('input_node["ticket"]["subject"]', "Hi"),
        ("Draft reply.output", "x"),
        ("node-1.output[0][1]", 2),
        ("node-1.output.1.0", 3),
        ("input_node.n", None),
        ("input_node.zero", 0),
        ("v1.2.field", 1),
        ("v1.2.field.b", 2),
        ("v1.2.only", "here"),
    ],
)
def test_a_path_leads_to_what_it_names(path, value):
    assert look_up(VALUES, path) == value
    assert find(VALUES, path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nope", "path 'nope': there is no 'nope'; there is 'input'"),
        ("input.nope.more", "path 'input.nope.more': there is no 'nope' in 'input'; there is 'list', 'text'"),
        ("input.text.more", "path 'input.text.more': there is no 'more' in 'input.text'; it is text"),
        ("input.list.2", "path 'input.list.2': there is no '2' in 'input.list'; it is a list of 2"),
        ("input.list[2]", "path 'input.list[2]': there is no '2' in 'input.list'; it is a list of 2"),
        ("input.list[-3]", "path 'input.list[-3]': there is no '-3' in 'input.list'; it is a list of 2"),
        ("input.list.x", "path 'input.list.x': there is no 'x' in 'input.list'; it is a list of 2"),
        ("input.list.0.a", "path 'input.list.0.a': there is no 'a' in 'input.list.0'; it is an empty object"),
        ("input.", "path 'input.': there is no '' in 'input'; there is 'list', 'text'"),
    ],
)
def test_a_missing_part_is_named_with_what_is_there(path, message):
    values = {"input": {"text": "x", "list": [{}, 1]}}

    with pytest.raises(Invalid) as caught:
        look_up(values, path)
    assert caught.value.message == message


def test_an_empty_path_is_refused():
    with pytest.raises(Invalid, match="the path is empty; there is 'a'"):
        look_up({"a": 1}, "")


@pytest.mark.parametrize(
    "path", ["nope", "a.b", "a[0]", "a..b", "a.[0]", "[0", "]", "a[", "a]0[", "list[0]x", "..", "list.00x"]
)
def test_find_gives_nothing_where_nothing_is(path):
    assert find({"a": 1, "list": [1]}, path) is NOTHING


def test_null_is_something():
    assert find({"a": {"b": None}}, "a.b") is None


def test_the_longest_title_wins_and_shorter_ones_are_tried_after_it():
    values = {"a.b": {"c": 1}, "a": {"b": {"c": 2, "d": 3}}}

    assert look_up(values, "a.b.c") == 1
    assert look_up(values, "a.b.d") == 3


def test_the_attempt_that_got_furthest_is_told():
    values = {"a.b": {"c": {"x": 1}}, "a": {}}

    with pytest.raises(Invalid, match=re.escape("there is no 'y' in 'a.b.c'")):
        look_up(values, "a.b.c.y")


def test_many_names_are_shown_in_part():
    with pytest.raises(Invalid, match="'f19' and 5 more"):
        look_up({f"f{number:02}": 1 for number in range(25)}, "nope")


def test_a_long_name_is_shown_in_part():
    with pytest.raises(Invalid) as caught:
        look_up({"x" * 10_000: 1}, "nope")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("path", ["a" + ".b" * 4_900, "a" + "[0]" * 3_300, "a" * 10_001])
def test_a_very_long_path_ends(path):
    assert find({"a": {}, "a" * 10_001: 1}, path) is NOTHING
    with pytest.raises(Invalid):
        look_up({"a": [[]], "a" * 10_001: 1}, path)


def test_a_path_beyond_the_limit_is_refused_with_the_limit():
    with pytest.raises(Invalid, match="a path has 10,001 characters; the limit is 10,000"):
        look_up({}, "a" * 10_001)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"b": 1, "a": 2}, "there is 'a', 'b'"),
        ({}, "it is an empty object"),
        ([1, 2], "it is a list of 2"),
        ("x", "it is text"),
        (None, "it is null"),
    ],
)
def test_what_is_there_is_told_in_a_few_words(value, words):
    assert what_is_there(value) == words


KEYS = st.text("ab.[] 01-", min_size=1, max_size=4)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
)


@given(TREES, st.text("ab.[] 01-", max_size=12))
def test_look_up_and_find_agree(values, path):
    found = find(values, path)
    if found is NOTHING:
        with pytest.raises(Invalid):
            look_up(values, path)
    else:
        assert look_up(values, path) is found


@given(
    st.dictionaries(st.text("abc", min_size=1), st.dictionaries(st.text("xyz", min_size=1), st.integers()))
)
def test_every_field_can_be_reached_by_its_dotted_path(values):
    for title, fields in values.items():
        for name, value in fields.items():
            assert look_up(values, f"{title}.{name}") == value
