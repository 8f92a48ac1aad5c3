import pytest

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Done, Expand, Skip, StartChild
from rowel.nodes.builtin.subworkflow import SubworkflowNode
from tests.support.contexts import make_context
from tests.support.nodes import build, outcome_of, problems_of

RECEIVED = {"Start": {"topic": "tea", "n": 3}}
CONTEXT = make_context(body_input_id="in", body_output_id="out")


async def test_another_workflow_is_started_as_a_child():
    node = build(SubworkflowNode, workflow_id="w1", version=2, input_map={"subject": "Start.topic"})

    assert await outcome_of(node, RECEIVED) == StartChild("w1", 2, {"subject": "tea"})


async def test_without_a_version_the_child_runs_the_latest():
    assert await outcome_of(build(SubworkflowNode, workflow_id="w1"), RECEIVED) == StartChild(
        "w1", None, RECEIVED
    )


async def test_a_body_of_its_own_is_expanded():
    assert await outcome_of(build(SubworkflowNode, input_map={"n": "Start.n"}), RECEIVED) == Expand({"n": 3})


@pytest.mark.parametrize("config", [{}, {"input_map": {}}, {"input_map": None}])
async def test_without_an_input_map_the_body_gets_all_that_was_received(config):
    assert await outcome_of(build(SubworkflowNode, **config), RECEIVED) == Expand(RECEIVED)


async def test_its_outputs_are_those_of_the_bodys_output_node():
    results = [{"in": {"n": 3}, "out": {"answer": 42}}]

    assert await build(SubworkflowNode).after(RECEIVED, results, CONTEXT) == Done({"answer": 42})


async def test_where_routing_left_the_output_node_out_it_is_skipped():
    assert await build(SubworkflowNode).after(RECEIVED, [{"in": {"n": 3}}], CONTEXT) == Skip()


async def test_a_path_that_leads_nowhere_fails_the_node():
    node = build(SubworkflowNode, input_map={"n": "Start.m"})

    with pytest.raises(NodeFailed, match="input_map, field 'n'"):
        await outcome_of(node, RECEIVED)


def test_a_workflow_id_stands_in_for_a_body():
    assert SubworkflowNode.contains
    assert SubworkflowNode.body_unless == "workflow_id"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"version": 2}, "config.version"),
        ({"workflow_id": "w", "version": 0}, "config.version"),
        ({"workflow_id": 5}, "config.workflow_id"),
        ({"input_map": {"n": ""}}, "config.input_map"),
        ({"input_map": ["n"]}, "config.input_map"),
        ({"subworkflow": "x"}, "config.subworkflow"),
    ],
)
def test_what_can_not_work_is_a_problem(config, field):
    [problem] = problems_of(SubworkflowNode, **config)

    assert problem.split(":")[0] == field
