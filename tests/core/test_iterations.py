"""Histories of iterations: whole in memory, referred to in what is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.iterations import BRIEF, Iterations, has_reference, place_of, to_keep, whole, without

PATH = "loop.2.add"
LONG = {"add": [{"text": "x" * BRIEF}, {"text": "y"}]}


def placed(outputs, place="loop.2"):
    """The history that this iteration got."""
    results = [dict.fromkeys(outputs, one) for one in next(iter(outputs.values()))]
    found = Iterations({}, 0).and_then(results)
    found.place = place
    return found


def test_a_history_reads_like_a_plain_mapping():
    assert placed(LONG) == LONG


def test_a_history_that_grows_leaves_the_one_before_as_it_was():
    before = placed({"add": [{"n": 1}]})

    after = before.and_then([{"add": {"n": 2}, "end": {}}])

    assert before == {"add": [{"n": 1}]}
    assert after == {"add": [{"n": 1}, {"n": 2}], "end": [{}]}


def test_a_long_history_is_kept_as_a_reference_and_found_again():
    history = placed(LONG)
    fields = {"start": {"count": 2, "loop_history": history}, "n": 1}

    kept = to_keep(fields, PATH)

    assert kept == {"start": {"count": 2, "loop_history": {"$before": "loop.2"}}, "n": 1}
    assert whole(kept, PATH, {"loop.2": history}.get) == fields
    assert has_reference(kept, PATH)


def test_a_brief_history_is_kept_as_it_is():
    fields = {"loop_history": placed({"add": [{"count": 1}]})}

    assert to_keep(fields, PATH) is fields


def test_values_that_no_json_can_say_do_not_break_a_history():
    assert to_keep({"h": placed({"add": [{"x": object()}]})}, PATH) == {"h": {"$before": "loop.2"}}


@pytest.mark.parametrize("path", ["loop", "loop.3.add", "loop.20.add", "other.2.add", "end"])
def test_a_history_that_left_its_iteration_is_kept_whole(path):
    fields = {"last": placed(LONG)}

    assert to_keep(fields, path) is fields


def test_a_body_inside_an_iteration_refers_to_its_history():
    assert to_keep({"h": placed(LONG)}, "loop.2.inner.0.add") == {"h": {"$before": "loop.2"}}


def test_histories_are_taken_out_whole_or_kept():
    fields = {"start": {"a": 1, "h": placed(LONG)}, "kept": {"$before": "loop.2"}}

    assert without(fields, PATH) == {"start": {"a": 1}}
    assert without(fields, "") == {"start": {"a": 1}, "kept": {"$before": "loop.2"}}


@pytest.mark.parametrize(
    "value", [{"$before": "loop.1"}, {"$before": 2}, {"$before": "loop.2", "x": 1}, {}, [], "loop.2", None]
)
def test_what_only_looks_like_a_reference_is_none(value):
    assert place_of(value, PATH) is None
    assert whole({"x": value}, PATH, lambda place: Iterations({}, 0)) == {"x": value}


VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.just(placed(LONG)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=2), VALUES, max_size=3))
def test_what_was_kept_becomes_what_it_was(fields):
    history = placed(LONG)

    assert whole(to_keep(fields, PATH), PATH, {"loop.2": history}.get) == fields
