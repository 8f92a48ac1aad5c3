from rowel.core.outcomes import Done
from rowel.nodes.builtin.merge import MergeNode
from tests.support.nodes import build, outcome_of


async def test_what_was_received_is_put_out_by_title():
    received = {"a": {"x": 1}, "b": {"x": 2, "y": None}}

    assert await outcome_of(build(MergeNode), received) == Done(received)


def test_a_merge_waits_for_all_its_predecessors():
    assert MergeNode.join == "all"
