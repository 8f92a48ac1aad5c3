from hypothesis import given
from hypothesis import strategies as st

from rowel.core.nesting import find_depths

NAMES = "abcdefg"


def test_depth_counts_the_containers_around_a_node():
    assert find_depths({"top": None, "c": "b", "b": "a", "a": None}) == {"top": 0, "a": 0, "b": 1, "c": 2}


def test_a_container_elsewhere_does_not_count():
    assert find_depths({"a": "not here"}) == {"a": 0}


def test_nodes_inside_themselves_have_no_depth():
    assert find_depths({"self": "self", "a": "b", "b": "a", "free": None}) == {"free": 0}


def test_what_lies_in_a_node_inside_itself_has_one():
    assert set(find_depths({"a": "a", "b": "a", "c": "b"})) == {"b", "c"}


@given(st.fixed_dictionaries({name: st.none() | st.sampled_from([*NAMES, "elsewhere"]) for name in NAMES}))
def test_depths_agree_with_walking_up_from_each_node(parents):
    depths = find_depths(parents)

    for node in parents:
        around = walk_up(parents, node)
        assert (node in depths) == (node not in around)
        if not any(outer in walk_up(parents, outer) for outer in around):
            assert depths.get(node, len(around)) == len(around)


def walk_up(parents, node):
    around = []
    outer = parents[node]
    while outer is not None and outer in parents and outer not in around:
        around.append(outer)
        outer = parents[outer]
    return around
