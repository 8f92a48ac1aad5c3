from rowel.core.bodies import bodies, body_of, top_level
from rowel.core.parsing import parse_definition
from tests.support.definitions import chain, node, workflow
from tests.support.node_types import FakeTypes

TYPES = FakeTypes()


def body_nodes(prefix, container, *, between=()):
    """Nodes and links of a body made of children: input, `between`, output."""
    nodes = [
        node(f"{prefix}in", "Input", parent_id=container),
        *({**inner, "parent_id": container} for inner in between),
        node(f"{prefix}out", "Output", parent_id=container),
    ]
    own = [item["id"] for item in nodes if item["parent_id"] == container]
    return nodes, chain(*own)


def nested():
    """A loop with a loop inside it, both with children, and a subworkflow that holds its body itself."""
    inner_nodes, inner_links = body_nodes("i", "inner", between=[node("deep")])
    outer_nodes, outer_links = body_nodes("o", "outer", between=[node("inner", "Loop")])
    held = workflow(node("in", "Input"), node("out", "Output"), links=chain("in", "out"))
    raw = workflow(
        node("start", "Input"),
        node("outer", "Loop"),
        *inner_nodes,
        *outer_nodes,
        node("held", "Sub", config={"subworkflow": held}),
        links=[*inner_links, *outer_links, *chain("start", "outer", "held")],
    )
    return parse_definition(raw, TYPES)


def ids(definition):
    return [spec.id for spec in definition.nodes]


def pairs(definition):
    return [(link.source_id, link.target_id) for link in definition.links]


def test_a_definition_without_containers_is_its_own_top_level():
    definition = parse_definition(workflow(node("a", "Input"), node("b"), links=chain("a", "b")), TYPES)

    assert top_level(definition) is definition
    assert bodies(definition, TYPES) == {}


def test_the_top_level_leaves_out_what_lies_in_containers():
    top = top_level(nested())

    assert ids(top) == ["start", "outer", "held"]
    assert pairs(top) == [("start", "outer"), ("outer", "held")]


def test_a_body_of_children_holds_all_beneath_its_container_in_the_users_order():
    body = bodies(nested(), TYPES)["outer"]

    assert ids(body) == ["iin", "deep", "iout", "oin", "inner", "oout"]
    assert body.nodes[4].parent_id == "outer"


def test_a_body_is_a_definition_like_any_other():
    body = bodies(nested(), TYPES)["outer"]

    assert ids(top_level(body)) == ["oin", "inner", "oout"]
    assert pairs(top_level(body)) == [("oin", "inner"), ("inner", "oout")]
    assert ids(bodies(body, TYPES)["inner"]) == ["iin", "deep", "iout"]


def test_only_the_containers_of_the_top_level_are_told():
    assert set(bodies(nested(), TYPES)) == {"outer", "held"}


def test_a_body_held_inside_another_body_is_told_by_that_body():
    held = workflow(node("in", "Input"), node("out", "Output"))
    nodes, links = body_nodes("o", "outer", between=[node("held", "Sub", config={"subworkflow": held})])
    definition = parse_definition(
        workflow(node("start", "Input"), node("outer", "Loop"), *nodes, links=links), TYPES
    )

    assert set(bodies(definition, TYPES)) == {"outer"}
    assert ids(bodies(bodies(definition, TYPES)["outer"], TYPES)["held"]) == ["in", "out"]


def test_a_body_that_a_node_holds_itself_is_read():
    body = bodies(nested(), TYPES)["held"]

    assert ids(body) == ["in", "out"]
    assert pairs(body) == [("in", "out")]


def test_raw_of_a_part_holds_the_json_of_its_nodes_and_links():
    body = bodies(nested(), TYPES)["outer"]

    assert [item["id"] for item in body.raw["nodes"]] == ids(body)
    assert [(item["source_id"], item["target_id"]) for item in body.raw["links"]] == pairs(body)


def test_body_of_tells_one_body_or_none():
    definition = nested()
    by_id = {spec.id: spec for spec in definition.nodes}

    assert body_of(definition, by_id["outer"], TYPES) == bodies(definition, TYPES)["outer"]
    assert body_of(definition, by_id["start"], TYPES) is None


def test_a_subworkflow_in_the_config_of_another_type_is_no_body():
    config = {"subworkflow": workflow(node("x"))}
    definition = parse_definition(workflow(node("a", "Input", config=config)), TYPES)

    assert bodies(definition, TYPES) == {}
