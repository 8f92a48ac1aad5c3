from graphlib import CycleError, TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from rowel.core.cycles import describe_cycle, find_cycles

NAMES = "abcdefgh"
graphs = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), max_size=3) for name in NAMES})


def test_a_graph_without_cycles_has_none():
    assert find_cycles({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}) == []


def test_a_node_that_links_to_itself_is_a_cycle():
    assert find_cycles({"a": ["a"], "b": []}) == [["a"]]


def test_a_cycle_is_told_in_the_order_of_its_links():
    [cycle] = find_cycles({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a", "y"], "y": []})

    assert "".join(cycle) in {"abc", "bca", "cab"}


def test_cycles_that_do_not_meet_are_all_told():
    cycles = find_cycles({"a": ["b"], "b": ["a", "c"], "c": ["d"], "d": ["c"], "e": ["e"]})

    assert {frozenset(cycle) for cycle in cycles} == {frozenset("ab"), frozenset("cd"), frozenset("e")}


def test_a_very_long_cycle_is_found_without_recursion():
    size = 20_000
    targets = {str(number): [str((number + 1) % size)] for number in range(size)}

    [cycle] = find_cycles(targets)

    assert len(cycle) == size


@given(graphs)
def test_every_cycle_that_is_told_exists(targets):
    for cycle in find_cycles(targets):
        assert len(set(cycle)) == len(cycle)
        for source, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert target in targets[source]


@given(graphs)
def test_a_cycle_is_told_exactly_where_there_is_one(targets):
    try:
        TopologicalSorter(targets).prepare()
        has_cycle = False
    except CycleError:
        has_cycle = True

    assert bool(find_cycles(targets)) == has_cycle


@given(graphs)
def test_no_node_is_in_two_of_the_cycles_told(targets):
    told = [node for cycle in find_cycles(targets) for node in cycle]

    assert len(told) == len(set(told))


def test_a_short_cycle_is_written_out():
    assert describe_cycle(["a", "b"]) == "a → b → a"


def test_a_long_cycle_is_cut_short_and_counted():
    assert describe_cycle([*"abcd"] * 300, limit=2) == "a → b → … → a (1,200 nodes)"
