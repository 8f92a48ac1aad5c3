"""What a node receives, by the titles of those before it."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from rowel.core.inputs import received, sources
from tests.support.graphs import graph


def test_a_node_receives_the_outputs_of_its_predecessors_by_title():
    line = graph("a>c b>c", titles=[("a", "First"), ("b", "Second")])

    assert received(line, "c", {"a": {"x": 1}, "b": {"y": 2}}) == {"First": {"x": 1}, "Second": {"y": 2}}


def test_a_first_node_receives_nothing():
    assert received(graph("a>b"), "a", {}) == {}


def test_only_direct_predecessors_count():
    assert received(graph("a>b b>c"), "c", {"a": {"x": 1}, "b": {}}) == {"b": {}}


def test_a_predecessor_without_outputs_is_left_out():
    assert received(graph("a>c b>c", any_of="c"), "c", {"b": {"x": 1}}) == {"b": {"x": 1}}


def test_empty_outputs_are_outputs():
    assert received(graph("a>b"), "b", {"a": {}}) == {"a": {}}


def test_titles_come_in_the_order_of_the_links():
    assert list(received(graph("a b c>d a>d b>d"), "d", {"a": {}, "b": {}, "c": {}})) == ["c", "a", "b"]


ROUTER = graph("r.yes>x r.no>y r.yes>z r.no>z", routers="r")


@pytest.mark.parametrize(("node", "carried"), [("x", {"n": 1}), ("z", {"n": 1})])
def test_a_router_hands_on_the_data_of_the_route_that_fired(node, carried):
    assert received(ROUTER, node, {"r": {"yes": {"n": 1}, "no": None}}) == {"r": carried}


def test_a_route_that_did_not_fire_carries_nothing():
    assert received(ROUTER, "y", {"r": {"yes": {"n": 1}, "no": None}}) == {}


def test_two_routes_that_fired_merge_into_one():
    assert received(ROUTER, "z", {"r": {"yes": {"n": 1, "m": 0}, "no": {"n": 2}}}) == {"r": {"n": 2, "m": 0}}


def test_two_routes_of_which_one_carries_no_object_give_the_later_one():
    assert received(ROUTER, "z", {"r": {"yes": 5, "no": {"n": 2}}}) == {"r": {"n": 2}}
    assert received(ROUTER, "z", {"r": {"yes": {"n": 2}, "no": 5}}) == {"r": 5}


def test_routes_that_are_not_plain_dicts_merge_too():
    frozen = {"yes": MappingProxyType({"n": 1}), "no": MappingProxyType({"m": 2})}

    assert received(ROUTER, "z", {"r": frozen}) == {"r": {"n": 1, "m": 2}}


def test_a_link_without_a_handle_carries_all_of_a_routers_outputs():
    open_link = graph("r>x", routers="r")

    assert received(open_link, "x", {"r": {"yes": {"n": 1}}}) == {"r": {"yes": {"n": 1}}}


def test_a_handle_of_a_node_that_is_no_router_carries_all_its_outputs():
    human = graph("h.approved>x")

    assert received(human, "x", {"h": {"n": 1}}) == {"h": {"n": 1}}


def test_what_is_received_can_be_changed_without_changing_the_outputs():
    outputs = {"r": {"yes": {"n": 1}, "no": {"m": 2}}}
    received(ROUTER, "z", outputs)["r"]["n"] = 9

    assert outputs == {"r": {"yes": {"n": 1}, "no": {"m": 2}}}


def test_two_predecessors_of_one_title_are_seen_as_one():
    twins = graph("a>c b>c", titles=[("a", "T"), ("b", "T")])

    assert received(twins, "c", {"a": {"x": 1, "y": 1}, "b": {"y": 2}}) == {"T": {"x": 1, "y": 2}}


def sourced(shape, node, outputs):
    """What the node receives, put together from where its inputs come from."""
    found = sources(shape, node, outputs)
    return None if found is None else {title: outputs[node_id] for title, node_id in found.items()}


@pytest.mark.parametrize(
    ("shape", "node", "outputs"),
    [
        (graph("a>c b>c", titles=[("a", "First"), ("b", "Second")]), "c", {"a": {"x": 1}, "b": {"y": 2}}),
        (graph("a>c b>c", any_of="c"), "c", {"b": {"x": 1}}),
        (graph("a>b"), "b", {"a": {}}),
        (graph("r>x", routers="r"), "x", {"r": {"yes": {"n": 1}}}),
        (graph("h.approved>x h>x"), "x", {"h": {"n": 1}}),
    ],
)
def test_inputs_that_others_put_out_say_where_they_come_from(shape, node, outputs):
    assert sourced(shape, node, outputs) == received(shape, node, outputs)


def test_what_is_made_of_several_outputs_or_of_a_part_comes_from_no_single_one():
    twins = graph("a>c b>c", titles=[("a", "T"), ("b", "T")])

    assert sources(twins, "c", {"a": {"x": 1}, "b": {"y": 2}}) is None
    assert sources(ROUTER, "x", {"r": {"yes": {"n": 1}}}) is None
