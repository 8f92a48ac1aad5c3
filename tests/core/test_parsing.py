import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import InvalidDefinition
from rowel.core.parsing import Limits, definition_hash, parse_definition
from tests.support.definitions import chain, link, node, workflow
from tests.support.node_types import FakeTypes

TYPES = FakeTypes()
START = node("start", "Input")


def refusal(raw, **limits):
    with pytest.raises(InvalidDefinition) as caught:
        parse_definition(raw, TYPES, Limits(**limits))
    return caught.value


def example():
    body = workflow(node("in", "Input"), node("out", "Output"), links=chain("in", "out"))
    return {
        **workflow(
            node("start", "Input", title="Start", coordinates={"x": 1, "y": 2}),
            node("loop", "Loop", config={"subworkflow": body, "num": 2}),
            node("router", "Router", config={"routes": ["yes"]}),
            node("end", "Output", subworkflow=None),
            links=[*chain("start", "loop", "router"), link("router", "end", "yes")],
        ),
        "test_inputs": [{"id": 1}],
        "spur_type": "workflow",
    }


def test_a_definition_comes_back_in_the_users_order():
    definition = parse_definition(example(), TYPES)

    assert [spec.id for spec in definition.nodes] == ["start", "loop", "router", "end"]
    assert [found.target_id for found in definition.links] == ["loop", "router", "end"]


def test_raw_differs_from_what_came_in_by_titles_only():
    expected = example()
    for item in expected["nodes"]:
        item.setdefault("title", item["id"])

    assert parse_definition(example(), TYPES).raw == expected


def test_a_refusal_lists_every_problem_in_its_message():
    error = refusal(workflow(node("a", "Nope"), links=[link("a", "b")]))

    assert len(error.problems) == 3
    assert error.message == "; ".join(map(str, error.problems))
    assert "node 'a', node_type: there is no node type 'Nope'" in error.message


class TestLimits:
    def test_as_many_nodes_and_links_as_allowed_pass(self):
        raw = workflow(START, node("a"), node("b"), links=chain("start", "a", "b"))

        assert parse_definition(raw, TYPES, Limits(nodes=3, links=2))

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            ({"nodes": 2}, "3 nodes are too many; the limit is 2"),
            ({"links": 1}, "2 links are too many; the limit is 1"),
        ],
    )
    def test_one_more_is_refused_by_a_sentence_that_names_the_limit(self, limits, message):
        raw = workflow(START, node("a"), node("b"), links=chain("start", "a", "b"))

        [problem] = refusal(raw, **limits).problems

        assert problem.message == message

    def test_the_nodes_of_bodies_count(self):
        error = refusal(example(), nodes=5)

        assert "6 nodes are too many; the limit is 5" in error.message

    def test_a_limit_is_told_once(self):
        body = workflow(node("in", "Input"), node("out", "Output"))
        loops = [node(f"loop{number}", "Loop", config={"subworkflow": body}) for number in range(5)]

        assert len(refusal(workflow(START, *loops), nodes=7).problems) == 1

    def test_the_limits_are_those_that_are_documented(self):
        nodes = [START, *(node(f"n{number}") for number in range(10_000))]

        assert "10,001 nodes are too many; the limit is 10,000" in refusal(workflow(*nodes)).message
        assert (
            "50,001 links" in refusal(workflow(START, node("a"), links=[link("start", "a")] * 50_001)).message
        )

    def test_the_largest_definition_is_read(self):
        nodes = [START, *(node(f"n{number}") for number in range(9_999))]
        links = [link(f"n{number}", f"n{number + step}") for step in range(1, 6) for number in range(9_990)]
        links += [link("start", f"n{number}") for number in range(50)]

        definition = parse_definition(workflow(*nodes, links=links), TYPES)

        assert (len(definition.nodes), len(definition.links)) == (10_000, 50_000)


class TestWhatIsNotJSON:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", object()])
    def test_a_value_that_json_does_not_know_is_a_problem_of_its_node(self, value):
        [problem] = refusal(workflow(START, node("a", config={"x": [value]}))).problems

        assert problem.node_id == "a"

    def test_such_a_value_beside_the_nodes_is_a_problem_too(self):
        [problem] = refusal({**workflow(START), "mine": float("nan")}).problems

        assert problem.node_id is None

    @pytest.mark.parametrize("levels", [65, 100_000])
    def test_what_is_nested_too_deep_is_refused(self, levels):
        deep = []
        for _ in range(levels):
            deep = [deep]

        [problem] = refusal(workflow(START, node("a", config={"x": deep}))).problems

        assert problem.node_id == "a"
        assert "nested" in problem.message

    def test_a_value_that_contains_itself_is_refused(self):
        config = {}
        config["config"] = config

        assert refusal(workflow(START, node("a", config=config))).problems


class TestMessages:
    def test_text_that_is_not_unicode_is_escaped(self):
        error = refusal(workflow(START, node("\ud800", config={"wrong": ["bad \udfff"]})))

        json.dumps([vars(problem) for problem in error.problems], ensure_ascii=False).encode()

    def test_long_words_of_users_are_cut_short(self):
        error = refusal(workflow(START, node("x" * 100_000, "t" * 100_000)))

        assert all(len(str(problem)) < 1_300 for problem in error.problems)


#: Lone surrogates and NUL included.
ANY_TEXT = st.characters(exclude_categories=())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(ANY_TEXT, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(ANY_TEXT, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
IDS = st.sampled_from(["a", "b", "c", "d", ""])
NODES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "title": IDS | JSON,
        "node_type": st.sampled_from(["Plain", "Input", "Output", "Router", "Loop", "Sub", "Human"]) | JSON,
        "parent_id": IDS | JSON,
        "config": st.fixed_dictionaries(
            {}, optional={"routes": JSON, "subworkflow": JSON, "workflow_id": JSON}
        )
        | JSON,
        "coordinates": JSON,
        "dimensions": JSON,
        "subworkflow": JSON,
    },
)
LINKS = st.fixed_dictionaries(
    {},
    optional={"source_id": IDS | JSON, "target_id": IDS | JSON, "source_handle": JSON, "target_handle": JSON},
)
DEFINITIONS = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.lists(NODES | JSON, max_size=6) | JSON,
        "links": st.lists(LINKS | JSON, max_size=6) | JSON,
        "test_inputs": JSON,
        "spur_type": JSON,
    },
)


@given(DEFINITIONS | JSON)
def test_any_json_is_read_or_refused_and_nothing_else(raw):
    before = deepcopy(raw)
    try:
        definition = parse_definition(raw, TYPES)
    except InvalidDefinition:
        definition = None

    assert raw == before
    if definition is not None:
        assert definition_hash(definition.raw)
        assert parse_definition(definition.raw, TYPES) == definition


def moved(definition):
    definition["nodes"][0]["coordinates"] = {"x": 900, "y": 5}
    definition["nodes"][1]["dimensions"] = {"width": 1, "height": 1}


def moved_in_a_body(definition):
    definition["nodes"][1]["config"]["subworkflow"]["nodes"][0]["coordinates"] = {"x": 3, "y": 4}


def titled_by_the_id(definition):
    definition["nodes"][1]["title"] = "loop"


def written_with_nulls(definition):
    definition["nodes"][0] |= {"parent_id": None, "subworkflow": None, "config": None}
    definition["links"][0] |= {"source_handle": None, "target_handle": "x"}


def tried_with_other_inputs(definition):
    definition["test_inputs"] = []


def keys_in_another_order(definition):
    definition["nodes"] = [dict(reversed(item.items())) for item in definition["nodes"]]


def with_a_new_title(definition):
    definition["nodes"][1]["title"] = "Other"


def with_another_config(definition):
    definition["nodes"][1]["config"]["num"] = 3


def with_another_type(definition):
    definition["nodes"][3]["node_type"] = "Plain"


def with_another_body(definition):
    definition["nodes"][1]["config"]["subworkflow"]["nodes"][0]["title"] = "other"


def with_a_link_less(definition):
    definition["links"].pop()


def with_another_route(definition):
    definition["links"][2]["source_handle"] = "no"


class TestHash:
    @pytest.mark.parametrize(
        "change",
        [
            moved,
            moved_in_a_body,
            titled_by_the_id,
            written_with_nulls,
            tried_with_other_inputs,
            keys_in_another_order,
        ],
    )
    def test_what_changes_no_run_changes_no_hash(self, change):
        changed = example()
        change(changed)

        assert changed != example() or change is keys_in_another_order
        assert definition_hash(changed) == definition_hash(example())

    @pytest.mark.parametrize(
        "change",
        [
            with_a_new_title,
            with_another_config,
            with_another_type,
            with_another_body,
            with_a_link_less,
            with_another_route,
        ],
    )
    def test_what_changes_runs_changes_the_hash(self, change):
        changed = example()
        change(changed)

        assert definition_hash(changed) != definition_hash(example())

    def test_the_hash_is_64_hexadecimal_digits(self):
        assert len(bytes.fromhex(definition_hash(example()))) == 32

    def test_text_that_is_not_unicode_has_a_hash(self):
        assert definition_hash(workflow(node("a", config={"x": "\ud800"})))
