import pytest

from rowel.core.errors import InvalidDefinition
from rowel.core.parsing import parse_definition
from tests.support.definitions import chain, link, node, workflow
from tests.support.node_types import FakeTypes

START = node("start", "Input")


def problems(raw):
    """(node id, field, message) of each problem."""
    try:
        parse_definition(raw, FakeTypes())
    except InvalidDefinition as error:
        return [(problem.node_id, problem.field, problem.message) for problem in error.problems]
    return []


def only_problem(raw):
    [found] = problems(raw)
    return found


def body(*nodes, links=None):
    """A body with an input and an output node around `nodes`."""
    return workflow(node("in", "Input"), *nodes, node("out", "Output"), links=links or [])


def children(container, *nodes):
    """The nodes of a body made of children: an input, an output, and `nodes`."""
    ends = (node(f"{container}_in", "Input"), node(f"{container}_out", "Output"))
    return [{**item, "parent_id": container} for item in (*ends, *nodes)]


def loops_within_loops(levels):
    """The body of a loop, and so on, `levels` deep; the first level is the workflow itself."""
    inner = body()
    for _ in range(levels - 1):
        inner = body(node("loop", "Loop", config={"subworkflow": inner}))
    return workflow(START, node("loop", "Loop", config={"subworkflow": inner}))


def test_each_node_has_an_id_of_its_own():
    assert only_problem(workflow(START, node("a"), node("a"))) == ("a", "id", "another node has the same id")


def test_a_body_may_use_the_ids_of_the_graph_around_it():
    held = body(node("start"), node("loop"))

    assert problems(workflow(START, node("loop", "Loop", config={"subworkflow": held}))) == []


def test_an_unknown_node_type_is_named():
    assert only_problem(workflow(START, node("a", "Nope"))) == (
        "a",
        "node_type",
        "there is no node type 'Nope'",
    )


def test_what_the_node_type_finds_wrong_is_told():
    raw = workflow(START, node("a", config={"wrong": ["no model", "no prompt"]}))

    assert problems(raw) == [("a", "config", "no model"), ("a", "config", "no prompt")]


def test_a_node_whose_config_can_not_be_read_is_not_judged_twice():
    assert len(problems(workflow(START, node("a", config="wrong")))) == 1


class TestEnds:
    def test_a_workflow_needs_an_input_node(self):
        assert only_problem(workflow(node("a"))) == (
            None,
            None,
            "there is no input node; exactly one is needed",
        )

    def test_a_second_input_node_is_one_too_many(self):
        assert only_problem(workflow(START, node("again", "Input")))[:2] == ("again", "node_type")

    def test_a_workflow_may_go_without_an_output_node(self):
        assert problems(workflow(START)) == []

    def test_a_second_output_node_is_one_too_many(self):
        found = only_problem(workflow(START, node("one", "Output"), node("two", "Output")))

        assert found == ("two", "node_type", "is one output node too many: 'one' is one already")

    @pytest.mark.parametrize("left_out", ["input", "output"])
    def test_a_body_of_children_needs_an_input_and_an_output_node(self, left_out):
        first, last = children("loop")
        kept = last if left_out == "input" else first

        found = only_problem(workflow(START, node("loop", "Loop"), kept))

        assert found == ("loop", None, f"there is no {left_out} node in its body; exactly one is needed")

    def test_a_body_that_a_node_holds_needs_them_too(self):
        held = workflow(node("x"))

        found = problems(workflow(START, node("loop", "Loop", config={"subworkflow": held})))

        assert [(node_id, message) for node_id, _, message in found] == [
            ("loop", "in the body of 'loop': there is no input node; exactly one is needed"),
            ("loop", "in the body of 'loop': there is no output node; exactly one is needed"),
        ]

    def test_ends_of_bodies_are_not_ends_of_the_workflow(self):
        assert problems(workflow(START, node("loop", "Loop"), *children("loop"))) == []


class TestLinks:
    @pytest.mark.parametrize(
        ("wrong", "missing"), [(link("start", "nowhere"), "nowhere"), (link("nowhere", "start"), "nowhere")]
    )
    def test_both_ends_of_a_link_exist(self, wrong, missing):
        node_id, field, message = only_problem(workflow(START, links=[wrong]))

        assert (node_id, field) == ("start", "links")
        assert f"ends at '{missing}', and there is no such node" in message

    @pytest.mark.parametrize("ends", [("start", "loop_in"), ("loop_in", "start"), ("loop_in", "loop")])
    def test_a_link_stays_on_one_side_of_a_containers_border(self, ends):
        raw = workflow(START, node("loop", "Loop"), *children("loop"), links=[link(*ends)])

        assert "crosses the border" in only_problem(raw)[2]

    def test_a_link_does_not_join_two_bodies(self):
        loops = (node("one", "Loop"), node("two", "Loop"))
        raw = workflow(START, *loops, *children("one"), *children("two"), links=[link("one_in", "two_out")])

        assert "crosses the border" in only_problem(raw)[2]

    def test_a_body_that_a_node_holds_does_not_see_the_nodes_outside(self):
        held = body(links=[link("in", "start")])
        raw = workflow(START, node("loop", "Loop", config={"subworkflow": held}))

        assert "there is no such node" in only_problem(raw)[2]

    def test_links_may_be_doubled(self):
        raw = workflow(START, node("a"), links=[link("start", "a"), link("start", "a")])

        assert len(parse_definition(raw, FakeTypes()).links) == 2


class TestRoutes:
    ROUTER = node("router", "Router", config={"routes": ["yes", "no"]})

    def routed(self, *links):
        return workflow(START, self.ROUTER, node("a"), links=list(links))

    def test_a_link_out_of_a_router_names_one_of_its_routes(self):
        assert problems(self.routed(link("router", "a", "yes"), link("router", "a", "no"))) == []

    def test_a_link_out_of_a_router_without_a_route_is_a_problem(self):
        node_id, _, message = only_problem(self.routed(link("router", "a")))

        assert node_id == "router"
        assert "must name a route in source_handle; there are 'no', 'yes'" in message

    def test_a_route_that_does_not_exist_is_a_problem(self):
        message = only_problem(self.routed(link("router", "a", "maybe")))[2]

        assert "names the route 'maybe'; there are 'no', 'yes'" in message

    def test_routes_of_a_router_with_a_wrong_config_are_not_judged(self):
        router = node("router", "Router", config={"routes": 5})
        raw = workflow(START, router, node("a"), links=[link("router", "a", "any")])

        assert problems(raw) == []

    def test_routes_of_a_router_whose_config_can_not_be_read_are_not_judged(self):
        raw = workflow(
            START, node("router", "Router", config="x"), node("a"), links=[link("router", "a", "any")]
        )

        assert only_problem(raw)[1] == "config"

    @pytest.mark.parametrize("handle", [None, "declined", "out-1"])
    def test_links_out_of_other_nodes_may_have_any_handle(self, handle):
        raw = workflow(START, node("ask", "Human"), node("a"), links=[link("ask", "a", handle)])

        assert problems(raw) == []


class TestTitles:
    def test_two_predecessors_of_one_node_do_not_share_a_title(self):
        raw = workflow(
            START,
            node("a", title="T"),
            node("b", title="T"),
            node("c"),
            links=[link("a", "c"), link("b", "c"), link("b", "c")],
        )

        found = only_problem(raw)

        assert found == ("c", "links", "receives from 'a' and 'b', which share the title 'T'; rename one")

    def test_a_title_that_is_another_nodes_id_counts_as_shared(self):
        raw = workflow(
            START, node("a", title="b"), node("b"), node("c"), links=[link("a", "c"), link("b", "c")]
        )

        assert only_problem(raw)[0] == "c"

    def test_nodes_that_no_one_receives_both_of_may_share_a_title(self):
        raw = workflow(START, node("a", title="T"), node("b", title="T"), links=chain("start", "a", "b"))

        assert problems(raw) == []


class TestCycles:
    def test_a_cycle_is_told_with_its_nodes(self):
        raw = workflow(START, node("a"), node("b"), links=[*chain("start", "a", "b", "a")])

        node_id, field, message = only_problem(raw)

        assert (node_id, field) == ("a", "links")
        assert message == "the links form a cycle: a → b → a"

    def test_a_node_does_not_link_to_itself(self):
        assert only_problem(workflow(START, links=[link("start", "start")]))[2].endswith("start → start")

    def test_cycles_inside_bodies_are_found(self):
        inner = [node("x"), node("y")]
        raw = workflow(START, node("loop", "Loop"), *children("loop", *inner), links=chain("x", "y", "x"))

        assert "x → y → x" in only_problem(raw)[2]


class TestParents:
    def test_a_parent_exists(self):
        assert only_problem(workflow(START, node("a", parent_id="gone")))[:2] == ("a", "parent_id")

    def test_a_parent_is_a_container(self):
        found = only_problem(workflow(START, node("p"), node("a", parent_id="p")))

        assert found == ("a", "parent_id", "a Plain ('p') holds no other nodes")

    def test_a_container_does_not_lie_in_itself(self):
        raw = workflow(START, node("loop", "Loop", parent_id="loop"))

        assert ("loop", "parent_id", "leads back to the node itself") in problems(raw)

    def test_a_container_does_not_lie_in_what_it_contains(self):
        raw = workflow(START, node("a", "Loop", parent_id="b"), node("b", "Loop", parent_id="a"))

        told = {node_id for node_id, field, _ in problems(raw) if field == "parent_id"}
        assert told == {"a", "b"}

    def test_containers_may_lie_in_containers(self):
        raw = workflow(
            START, *children("outer", node("inner", "Loop")), *children("inner"), node("outer", "Loop")
        )

        assert problems(raw) == []

    def test_the_nodes_of_a_held_body_may_name_their_holder_as_parent(self):
        held = workflow(*children("loop"), links=[link("loop_in", "loop_out")])

        assert problems(workflow(START, node("loop", "Loop", config={"subworkflow": held}))) == []

    def test_in_a_held_body_that_has_a_node_of_its_holders_id_that_node_is_the_parent(self):
        held = body(node("loop", "Loop"), *children("loop"))

        assert problems(workflow(START, node("loop", "Loop", config={"subworkflow": held}))) == []


class TestBodies:
    def test_a_loop_needs_a_body(self):
        node_id, field, message = only_problem(workflow(START, node("loop", "Loop")))

        assert (node_id, field) == ("loop", "subworkflow")
        assert message == "has no body: set config.subworkflow or give other nodes 'loop' as their parent_id"

    def test_where_a_config_field_can_stand_in_for_a_body_the_message_says_so(self):
        assert only_problem(workflow(START, node("sub", "Sub")))[2].endswith("or set config.workflow_id")

    def test_a_config_field_may_stand_in_for_a_body(self):
        assert problems(workflow(START, node("sub", "Sub", config={"workflow_id": "w"}))) == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"config": {"subworkflow": body()}, "subworkflow": body()},
            {"config": {"subworkflow": body(), "workflow_id": "w"}},
            {"subworkflow": body(), "config": {"workflow_id": "w"}},
        ],
    )
    def test_a_container_has_no_more_than_one_body(self, fields):
        assert "has more than one body" in only_problem(workflow(START, node("sub", "Sub", **fields)))[2]

    @pytest.mark.parametrize("fields", [{"subworkflow": body()}, {"config": {"workflow_id": "w"}}])
    def test_children_are_a_body_too(self, fields):
        raw = workflow(START, node("sub", "Sub", **fields), *children("sub"))

        assert "has more than one body" in only_problem(raw)[2]

    def test_a_held_body_is_checked_like_any_graph(self):
        held = body(node("x", "Nope"), node("x"), links=[link("in", "gone")])

        found = problems(workflow(START, node("loop", "Loop", subworkflow=held)))

        assert len(found) == 3
        assert all(message.startswith("in the body of 'loop': ") for _, _, message in found)

    def test_a_held_body_of_a_wrong_shape_is_a_problem(self):
        held = {"nodes": "many", "links": None}

        found = problems(workflow(START, node("loop", "Loop", subworkflow=held)))

        assert [field for _, field, _ in found] == ["nodes", "links"]

    def test_what_other_nodes_keep_under_the_name_subworkflow_is_theirs(self):
        raw = workflow(START, node("a", config={"subworkflow": {"nodes": [1]}}, subworkflow={"nodes": 5}))

        assert problems(raw) == []


class TestNesting:
    def test_bodies_may_be_nested_eight_deep(self):
        assert problems(loops_within_loops(8)) == []

    def test_a_ninth_level_is_refused(self):
        assert "nested 9 levels deep; the limit is 8" in only_problem(loops_within_loops(9))[2]

    def test_children_of_children_count_as_levels(self):
        nodes = [node("l0", "Loop")]
        for level in range(9):
            nodes += children(f"l{level}", *([node(f"l{level + 1}", "Loop")] if level < 8 else []))

        node_id, _, message = only_problem(workflow(START, *nodes))

        assert node_id == "l8"
        assert "nested 9 levels deep" in message

    def test_levels_of_both_kinds_add_up(self):
        inner = loops_within_loops(8)["nodes"][1]["config"]["subworkflow"]
        raw = workflow(
            START, node("l", "Loop"), *children("l", node("m", "Loop", config={"subworkflow": inner}))
        )

        assert "nested 9 levels deep" in only_problem(raw)[2]


def test_all_problems_are_told_at_once():
    raw = workflow(
        node("a", "Nope"),
        node("a"),
        node("b", config={"wrong": ["x"]}),
        node("c", "Loop"),
        links=[link("b", "b"), link("b", "gone")],
    )

    assert [found[:2] for found in problems(raw)] == [
        ("a", "id"),
        ("a", "node_type"),
        ("b", "config"),
        (None, None),
        ("c", "subworkflow"),
        ("b", "links"),
        ("b", "links"),
    ]
