import pytest

from rowel.core.shapes import read_definition
from tests.support.definitions import link, node, workflow


def problems(raw):
    return [(problem.node_id, problem.field, problem.message) for problem in read_definition(raw).problems]


def only_problem(raw):
    [found] = problems(raw)
    return found


def test_a_node_is_read_with_all_that_it_says():
    raw = workflow(node("a", title="First", config={"x": 1}, parent_id="loop"))

    [spec] = read_definition(raw).nodes

    assert (spec.id, spec.title, spec.node_type) == ("a", "First", "Plain")
    assert (spec.config, spec.parent_id, spec.subworkflow) == ({"x": 1}, "loop", None)


def test_a_link_is_read_with_its_handles():
    raw = workflow(links=[{**link("a", "b", "yes"), "target_handle": "a.yes"}])

    [found] = read_definition(raw).links

    assert (found.source_id, found.target_id) == ("a", "b")
    assert (found.source_handle, found.target_handle) == ("yes", "a.yes")


def test_an_empty_handle_is_none():
    [found] = read_definition(workflow(links=[link("a", "b", "")])).links

    assert found.source_handle is None


@pytest.mark.parametrize("title", [{}, {"title": None}, {"title": ""}, {"title": "  "}])
def test_a_missing_title_is_the_id_in_the_node_and_in_raw(title):
    reading = read_definition(workflow({**node("a"), **title}))

    assert reading.nodes[0].title == "a"
    assert reading.raw["nodes"][0]["title"] == "a"


def test_raw_keeps_order_configs_and_unknown_fields():
    config = {"z": [1, {"y": None}], "a": 1e300}
    raw = {
        "mine": {"kept": True},
        "nodes": [node("b", title="B", config=config, color="red"), node("a", title="A")],
        "links": [{**link("b", "a"), "label": "x"}],
        "test_inputs": [{"id": 1}],
        "spur_type": "agent",
    }

    reading = read_definition(raw)

    assert reading.raw == raw
    assert reading.raw["nodes"][0]["config"] is config
    assert not reading.problems


def test_what_the_user_handed_in_is_not_changed():
    raw = workflow(node("a"))

    read_definition(raw)

    assert raw == workflow(node("a"))


def test_titles_are_filled_in_inside_a_nodes_own_subworkflow_but_configs_stay_intact():
    body = workflow(node("inner"))
    raw = workflow(node("own", subworkflow=body), node("configured", config={"subworkflow": body}))

    own, configured = read_definition(raw).raw["nodes"]

    assert own["subworkflow"]["nodes"][0]["title"] == "inner"
    assert "title" not in configured["config"]["subworkflow"]["nodes"][0]


@pytest.mark.parametrize(
    "fields",
    [{"config": {"subworkflow": workflow(node("x"))}}, {"subworkflow": workflow(node("x"))}],
    ids=["config", "own"],
)
def test_a_body_is_found_in_the_config_and_in_the_nodes_own_field(fields):
    [spec] = read_definition(workflow(node("loop", **fields))).nodes

    assert spec.subworkflow["nodes"][0]["id"] == "x"


@pytest.mark.parametrize("body", [{}, {"nodes": []}, {"nodes": [], "links": []}, None])
def test_a_body_without_nodes_is_no_body(body):
    [spec] = read_definition(workflow(node("loop", config={"subworkflow": body}, subworkflow=body))).nodes

    assert spec.subworkflow is None


def test_a_node_that_holds_two_bodies_is_remembered():
    body = workflow(node("x"))

    reading = read_definition(workflow(node("loop", config={"subworkflow": body}, subworkflow=body)))

    assert reading.held_twice == {"loop"}


def test_optional_fields_may_be_null():
    nulls = dict.fromkeys(("title", "parent_id", "config", "coordinates", "dimensions", "subworkflow"))
    raw = {
        "nodes": [node("a", **nulls), node("b", coordinates={"x": 1.5, "y": None})],
        "links": [{**link("a", "b"), "source_handle": None, "target_handle": None}],
        "test_inputs": None,
        "spur_type": None,
    }

    assert problems(raw) == []


@pytest.mark.parametrize(
    ("raw", "what"),
    [(None, "null"), (3, "an integer"), ("x", "text"), ([], "a list"), (True, "true or false")],
)
def test_a_definition_that_is_no_object_is_a_problem(raw, what):
    assert only_problem(raw) == (None, None, f"must be an object with nodes and links, not {what}")


@pytest.mark.parametrize("name", ["nodes", "links"])
def test_nodes_and_links_are_required_lists(name):
    raw = workflow()

    assert only_problem({key: value for key, value in raw.items() if key != name}) == (
        None,
        name,
        "is missing",
    )
    assert only_problem({**raw, name: {}}) == (None, name, "must be a list, not an object")
    assert only_problem({**raw, name: None}) == (None, name, "must be a list, not null")


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"spur_type": "robot"}, "spur_type"),
        ({"spur_type": []}, "spur_type"),
        ({"test_inputs": {}}, "test_inputs"),
    ],
)
def test_the_fields_beside_nodes_and_links_have_their_shapes(fields, at):
    assert only_problem({**workflow(), **fields})[1] == at


@pytest.mark.parametrize(
    ("item", "at"),
    [("x", "nodes[1]"), (None, "nodes[1]"), ({}, "nodes[1].id"), ({"id": 7}, "nodes[1].id")],
)
def test_a_node_without_an_id_is_named_by_its_place(item, at):
    assert only_problem(workflow(node("a"), item))[:2] == (None, at)


@pytest.mark.parametrize("node_id", ["", "a b", "a.b", "ä", "a" * 129, "a\x00", "a\n", "\ud800", "a/b"])
def test_an_id_of_other_characters_or_another_length_is_a_problem(node_id):
    assert only_problem(workflow(node(node_id)))[1] == "id"


@pytest.mark.parametrize("node_id", ["a", "0", "-_-", "A" * 128])
def test_an_id_may_hold_letters_digits_dashes_and_underscores(node_id):
    assert problems(workflow(node(node_id))) == []


@pytest.mark.parametrize("title", [5, [], "t" * 257, "a\x00b", "a\nb", "\x7f", "\x85", "\ud800"])
def test_a_title_that_can_not_be_shown_is_a_problem(title):
    assert only_problem(workflow(node("a", title=title)))[:2] == ("a", "title")


@pytest.mark.parametrize("title", ["t" * 256, "Größe 1.5 | 日本", "{{x}}"])
def test_a_title_may_hold_any_text_that_can_be_shown(title):
    assert problems(workflow(node("a", title=title))) == []


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"node_type": None}, "node_type"),
        ({"node_type": 5}, "node_type"),
        ({"config": []}, "config"),
        ({"config": "{}"}, "config"),
        ({"subworkflow": "x"}, "subworkflow"),
        ({"parent_id": 5}, "parent_id"),
        ({"coordinates": [1, 2]}, "coordinates"),
        ({"coordinates": {"x": "1"}}, "coordinates.x"),
        ({"dimensions": {"height": True}}, "dimensions.height"),
    ],
)
def test_a_field_of_a_wrong_shape_is_a_problem_of_its_node(fields, at):
    assert only_problem(workflow({**node("a"), **fields}))[:2] == ("a", at)


@pytest.mark.parametrize(
    ("item", "at"),
    [
        (None, "links[0]"),
        ([], "links[0]"),
        ({"source_id": "a"}, "links[0].target_id"),
        ({"target_id": "a"}, "links[0].source_id"),
        ({"source_id": 1, "target_id": "a"}, "links[0].source_id"),
        ({**link("a", "b"), "source_handle": 1}, "links[0].source_handle"),
        ({**link("a", "b"), "target_handle": {}}, "links[0].target_handle"),
    ],
)
def test_a_link_of_a_wrong_shape_is_named_by_its_place(item, at):
    assert only_problem(workflow(links=[item]))[:2] == (None, at)


def test_every_problem_is_told_not_only_the_first():
    raw = workflow({**node("a"), "config": 1, "node_type": 2, "parent_id": 3}, node("b c"), 5, links=[6])

    assert len(problems(raw)) == 6


def test_only_nodes_whose_type_or_config_is_unreadable_count_as_such():
    reading = read_definition(
        workflow(node("a", config=1), {"id": "b", "node_type": 5}, node("c", coordinates="x"), node("d"))
    )

    assert reading.unreadable == {"a", "b"}
