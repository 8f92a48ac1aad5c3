import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Done, Expand, Skip
from rowel.nodes.builtin.for_loop import ForLoopNode, without_history
from tests.support.contexts import make_context
from tests.support.nodes import build, outcome_of, problems_of

CONTEXT = make_context(body_input_id="in", body_output_id="out", body_titles={"in": "Begin", "out": "End"})
RECEIVED = {"Start": {"count": 1, "name": "x"}}
COUNT = {"input_map": {"count": "Start.count"}}


async def inputs_of_each_iteration(node, received, iterate):
    """Run the whole loop; `iterate(inputs, number)` is the body. Returns each iteration's inputs and the end."""
    given_inputs, results = [], []
    outcome = await outcome_of(node, received, CONTEXT)
    while isinstance(outcome, Expand):
        given_inputs.append(outcome.inputs)
        results.append(iterate(outcome.inputs, len(results)))
        outcome = await node.after(received, results, CONTEXT)
    return given_inputs, outcome


def adds_one(inputs, number):
    count = inputs["count"] + 1
    return {"in": inputs, "add": {"count": count}, "out": {"count": count}}


async def test_the_body_runs_as_often_as_asked():
    given_inputs, _ = await inputs_of_each_iteration(
        build(ForLoopNode, num_iterations=4, **COUNT), RECEIVED, adds_one
    )

    assert len(given_inputs) == 4


async def test_each_iteration_goes_on_from_the_last():
    given_inputs, end = await inputs_of_each_iteration(
        build(ForLoopNode, num_iterations=3, **COUNT), RECEIVED, adds_one
    )

    assert [inputs["count"] for inputs in given_inputs] == [1, 2, 3]
    assert end == Done({"count": 4})


async def test_without_an_input_map_the_first_iteration_gets_what_the_loop_received():
    assert await outcome_of(build(ForLoopNode), RECEIVED) == Expand({**RECEIVED, "loop_history": {}})


async def test_fields_that_an_iteration_does_not_put_out_stay_as_they_were():
    node = build(ForLoopNode, num_iterations=2, input_map={"count": "Start.count", "name": "Start.name"})

    given_inputs, _ = await inputs_of_each_iteration(node, RECEIVED, adds_one)

    assert given_inputs[1]["name"] == "x"


async def test_the_history_holds_the_outputs_of_every_node_so_far():
    given_inputs, _ = await inputs_of_each_iteration(
        build(ForLoopNode, num_iterations=3, **COUNT), RECEIVED, adds_one
    )

    assert given_inputs[2]["loop_history"] == {
        "in": [{"count": 1}, {"count": 2}],
        "add": [{"count": 2}, {"count": 3}],
        "out": [{"count": 2}, {"count": 3}],
    }


async def test_what_an_iteration_was_given_never_changes_afterwards():
    given_inputs, _ = await inputs_of_each_iteration(
        build(ForLoopNode, num_iterations=4, **COUNT), RECEIVED, adds_one
    )

    assert [len(inputs["loop_history"].get("out", [])) for inputs in given_inputs] == [0, 1, 2, 3]


async def test_a_node_that_routing_left_out_adds_nothing_to_the_history():
    def sometimes(inputs, number):
        return adds_one(inputs, number) if number % 2 == 0 else {"in": inputs}

    given_inputs, end = await inputs_of_each_iteration(
        build(ForLoopNode, num_iterations=3, **COUNT), RECEIVED, sometimes
    )

    assert [inputs["count"] for inputs in given_inputs] == [1, 2, 2]
    assert given_inputs[2]["loop_history"]["add"] == [{"count": 2}]
    assert end == Done({"count": 3})


async def test_a_body_that_passes_all_on_does_not_make_histories_of_histories():
    def passes_all_on(inputs, number):
        return {"in": inputs, "merge": {"Begin": inputs}, "out": {"merge": {"Begin": inputs}}}

    given_inputs, _ = await inputs_of_each_iteration(
        build(ForLoopNode, num_iterations=3, **COUNT), RECEIVED, passes_all_on
    )

    last = given_inputs[-1]
    assert without_history(last["loop_history"]) == last["loop_history"]
    assert without_history(last["merge"]) == last["merge"]


async def test_an_iterations_inputs_do_not_depend_on_what_is_at_hand_of_the_last():
    node = build(ForLoopNode, num_iterations=4, **COUNT)
    given_inputs, _ = await inputs_of_each_iteration(node, RECEIVED, adds_one)
    without_inputs = [
        {name: without_history(outputs) for name, outputs in adds_one(inputs, 0).items()}
        for inputs in given_inputs[:3]
    ]

    assert await node.after(RECEIVED, without_inputs, CONTEXT) == Expand(given_inputs[3])


async def test_an_output_map_picks_by_title_from_the_last_iteration():
    node = build(ForLoopNode, output_map={"first": "Begin.count", "all": "End"}, **COUNT)

    _, end = await inputs_of_each_iteration(node, RECEIVED, adds_one)

    assert end == Done({"first": 1, "all": {"count": 2}})


async def test_an_output_map_may_name_nodes_by_id_and_fields_of_the_output_node():
    node = build(ForLoopNode, output_map={"sum": "add.count", "total": "count"}, **COUNT)

    _, end = await inputs_of_each_iteration(node, RECEIVED, adds_one)

    assert end == Done({"sum": 2, "total": 2})


async def test_an_output_map_needs_no_output_of_the_output_node():
    node = build(ForLoopNode, output_map={"first": "Begin.count"}, **COUNT)

    _, end = await inputs_of_each_iteration(node, RECEIVED, lambda inputs, number: {"in": inputs})

    assert end == Done({"first": 1})


async def test_where_routing_left_the_last_output_out_the_loop_is_skipped():
    _, end = await inputs_of_each_iteration(
        build(ForLoopNode, **COUNT), RECEIVED, lambda inputs, _: {"in": inputs}
    )

    assert end == Skip()


@pytest.mark.parametrize("config", [{"input_map": {"n": "Start.no"}}, {"output_map": {"n": "End.no"}}])
async def test_a_path_that_leads_nowhere_fails_the_loop(config):
    node = build(ForLoopNode, **{**COUNT, **config})

    with pytest.raises(NodeFailed, match="field 'n'"):
        await inputs_of_each_iteration(node, RECEIVED, adds_one)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"num_iterations": 0}, "config.num_iterations"),
        ({"num_iterations": -1}, "config.num_iterations"),
        ({"num_iterations": 10_001}, "config.num_iterations"),
        ({"num_iterations": "many"}, "config.num_iterations"),
        ({"input_map": {"a": ""}}, "config.input_map"),
        ({"output_map": {"a": " "}}, "config.output_map"),
        ({"subworkflow": []}, "config.subworkflow"),
    ],
)
def test_what_can_not_work_is_a_problem(config, field):
    [problem] = problems_of(ForLoopNode, **config)

    assert problem.split(":")[0] == field


def test_a_loop_runs_once_to_ten_thousand_times():
    assert [problems_of(ForLoopNode, num_iterations=number) for number in (1, 10_000)] == [[], []]


VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "loop_history"]), inner, max_size=3)
    ),
    max_leaves=8,
)
OUTPUTS = st.dictionaries(st.sampled_from(["count", "a", "loop_history"]), VALUES, max_size=3)


@given(st.lists(st.fixed_dictionaries({"x": OUTPUTS}, optional={"out": OUTPUTS}), min_size=1, max_size=5))
async def test_inputs_are_the_same_made_step_by_step_or_from_all_results(bodies):
    node = build(ForLoopNode, num_iterations=10, **COUNT)
    stepwise, anew = [], []
    step = await outcome_of(node, RECEIVED, CONTEXT)
    for body in bodies:
        stepwise.append({"in": step.inputs, **body})
        anew.append({"in": without_history(step.inputs), **body})
        step = await node.after(RECEIVED, stepwise, CONTEXT)

    assert step == await node.after(RECEIVED, anew, CONTEXT)
