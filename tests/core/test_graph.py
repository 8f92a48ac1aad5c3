"""Graphs: their order, their ends, what lies before and behind a node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.definition import Link, NodeID, NodeSpec
from rowel.core.graph import NO_HANDLE, Edge, compile_graph
from tests.support.graphs import graph

DIAMOND = graph("a>b a>c b>d c>d")


def ids(compiled):
    return [spec.id for spec in compiled.specs]


def test_an_order_that_the_links_allow_is_kept():
    assert ids(graph("d b a>c c")) == ["d", "b", "a", "c"]


def test_a_node_comes_after_what_it_depends_on_and_otherwise_as_early_as_the_user_put_it():
    specs = [
        NodeSpec(id=NodeID(name), title=name, node_type="Plain") for name in ("end", "middle", "start", "z")
    ]
    links = [
        Link(source_id=NodeID(source), target_id=NodeID(target))
        for source, target in (("start", "middle"), ("middle", "end"))
    ]

    assert ids(compile_graph(specs, links)) == ["start", "middle", "end", "z"]


def test_the_order_of_links_changes_nothing():
    assert ids(graph("a b c a>c a>b")) == ids(graph("a b c a>b a>c")) == ["a", "b", "c"]


@given(
    st.integers(2, 12).flatmap(lambda size: st.tuples(st.just(size), st.permutations(range(size)), st.data()))
)
def test_parents_have_lower_numbers_than_their_children(drawn):
    size, order, data = drawn
    pairs = [(order[i], order[j]) for i in range(size) for j in range(i + 1, size)]
    chosen = data.draw(st.lists(st.sampled_from(pairs), unique=True))
    compiled = graph(
        " ".join([*(f"n{number}" for number in range(size)), *(f"n{a}>n{b}" for a, b in chosen)])
    )

    assert sorted(ids(compiled)) == sorted(f"n{number}" for number in range(size))
    assert all(number < edge.node for number, edges in enumerate(compiled.outgoing) for edge in edges)
    assert all(edge.node < number for number, edges in enumerate(compiled.incoming) for edge in edges)


@pytest.mark.parametrize("picture", ["a>a", "a>b b>a", "s>a a>b b>c c>a c>e"])
def test_links_in_a_circle_are_refused(picture):
    with pytest.raises(ValueError, match="cycle"):
        graph(picture)


def test_links_are_seen_from_both_ends_with_their_handle():
    router = graph("r.yes>x r.no>y r>z")

    assert router.outgoing[0] == (Edge(1, "yes"), Edge(2, "no"), Edge(3, NO_HANDLE))
    assert router.incoming[1:] == ((Edge(0, "yes"),), (Edge(0, "no"),), (Edge(0, NO_HANDLE),))


def test_links_between_the_same_nodes_are_all_kept():
    assert graph("r.yes>x r.no>x").incoming[1] == (Edge(0, "yes"), Edge(0, "no"))


def test_handles_are_those_by_which_links_leave():
    assert graph("r.yes>x r.no>y r.no>z").handles("r") == {"yes", "no"}
    assert DIAMOND.handles("a") == {NO_HANDLE}
    assert DIAMOND.handles("d") == frozenset()


def test_ancestors_are_all_that_a_node_depends_on():
    assert DIAMOND.ancestors("d") == {"a", "b", "c"}
    assert DIAMOND.ancestors("a") == frozenset()


def test_ancestors_behind_a_stop_are_left_out_but_the_stop_is_not():
    assert graph("a>b b>c c>d").ancestors("d", stop_at=frozenset({"b"})) == {"b", "c"}


def test_ancestors_that_another_way_leads_to_are_found_in_spite_of_a_stop():
    assert graph("a>b a>c b>d c>d").ancestors("d", stop_at=frozenset({"b"})) == {"a", "b", "c"}


def test_a_stop_at_the_node_itself_stops_nothing():
    assert DIAMOND.ancestors("d", stop_at=frozenset({"d"})) == {"a", "b", "c"}


def test_descendants_are_all_that_depend_on_a_node():
    assert graph("a>b b>c x>c").descendants("a") == {"b", "c"}


def test_a_graph_knows_its_nodes():
    assert len(DIAMOND) == 4
    assert "a" in DIAMOND
    assert "x" not in DIAMOND
    assert DIAMOND.spec("c").id == "c"
    with pytest.raises(KeyError):
        DIAMOND.spec("x")


def test_joins_and_routers_are_noted_by_node():
    compiled = graph("r.x>a a>j r.y>j", any_of="j", routers="r")

    assert compiled.joins_any == (False, False, True)
    assert compiled.routed == (True, False, False)


def test_a_graph_without_nodes_is_a_graph():
    assert len(graph("")) == 0


def test_a_chain_of_thousands_compiles_and_is_walked():
    chain = graph(" ".join(f"n{number}>n{number + 1}" for number in range(3000)))

    assert len(chain.ancestors("n3000")) == 3000
    assert len(chain.descendants("n0")) == 3000
