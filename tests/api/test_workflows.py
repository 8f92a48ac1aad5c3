"""Workflows, node types and templates over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES

FIELDS = {"id", "name", "description", "definition", "created_at", "updated_at"}


async def test_a_workflow_is_kept_with_its_order_configs_and_titles(api: Api) -> None:
    definition = {
        "nodes": [
            {
                "id": "b",
                "node_type": "StaticValueNode",
                "config": {"values": {"z": 1, "a": None}, "own": [1]},
            },
            {
                "id": "a",
                "title": "In",
                "node_type": "InputNode",
                "config": {},
                "coordinates": {"x": 1, "y": 2},
            },
        ],
        "links": [],
        "test_inputs": [{"id": 1}],
        "spur_type": "workflow",
    }
    workflow = await api.post("/wf/", {"name": "x", "definition": definition, "description": "d"})
    assert workflow.keys() >= FIELDS
    expected = json.loads(json.dumps(definition))
    expected["nodes"][0]["title"] = "b"
    assert workflow["definition"] == expected
    assert [node["id"] for node in workflow["definition"]["nodes"]] == ["b", "a"]
    assert await api.get(f"/wf/{workflow['id']}/") == workflow


async def test_names_need_not_be_unique_and_lists_are_newest_first(api: Api) -> None:
    ids = [await api.create(HALVES, "same") for _ in range(3)]
    assert [workflow["id"] for workflow in await api.get("/wf/")] == ids[::-1]
    assert [workflow["id"] for workflow in await api.get("/wf/", page=2, page_size=2)] == ids[:1]


async def test_a_description_that_is_not_given_stays(api: Api) -> None:
    workflow = await api.post("/wf/", {"name": "x", "definition": HALVES, "description": "kept"})
    path = f"/wf/{workflow['id']}/"
    changed = (await api.ask("PUT", path, json={"name": "y", "definition": ASKS})).json()
    assert (changed["name"], changed["description"]) == ("y", "kept")
    cleared = (await api.ask("PUT", path, json={"name": "y", "definition": ASKS, "description": None})).json()
    assert cleared["description"] is None


async def test_a_deleted_workflow_is_gone_and_its_runs_stay(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"n": 1}}})
    assert (await api.ask("DELETE", f"/wf/{workflow}/")).status_code == 204
    await api.get(f"/wf/{workflow}/", status=404)
    await api.post(f"/wf/{workflow}/run/", {}, status=404)
    assert (await api.ask("DELETE", f"/wf/{workflow}/")).status_code == 404
    assert (await api.get(f"/run/{run['id']}/"))["status"] == "COMPLETED"


async def test_a_copy_is_a_workflow_of_its_own(api: Api) -> None:
    workflow = await api.create(HALVES, "first")
    copy = await api.post(f"/wf/{workflow}/duplicate/")
    assert copy["id"] != workflow
    assert [node["id"] for node in copy["definition"]["nodes"]] == ["input_node", "work"]


async def test_where_python_runs_is_said_when_it_is_saved(api: Api) -> None:
    workflow = await api.post("/wf/", {"name": "x", "definition": HALVES})
    assert workflow["facts"] == {"work": {"sandbox": "monty"}}


async def test_output_variables_name_what_templates_can_use(api: Api) -> None:
    workflow = await api.create(HALVES)
    (variable,) = await api.get(f"/wf/{workflow}/output_variables/")
    assert variable["prefixed_variable"] == "input_node.n"


def definition(*nodes: Any, links: Any = ()) -> dict[str, Any]:
    return {"nodes": list(nodes), "links": list(links)}


START = {"id": "i", "node_type": "InputNode"}


def link(source: str, target: str, handle: str | None = None) -> dict[str, Any]:
    return {"source_id": source, "target_id": target, "source_handle": handle}


def node(kind: str, node_id: str = "n", **config: Any) -> dict[str, Any]:
    return {"id": node_id, "node_type": kind, "config": config}


BAD_DEFINITIONS: dict[str, tuple[Any, str]] = {
    "not an object": ([], "definition"),
    "no nodes": ({}, "nodes"),
    "no links": ({"nodes": [START]}, "links"),
    "nodes of the wrong type": ({"nodes": 5, "links": []}, "nodes"),
    "a node that is none": (definition(START, 5), "nodes"),
    "an unknown type": (definition(START, node("Nope")), "no node type 'Nope'"),
    "no input node": (definition(node("MergeNode")), "input node"),
    "two input nodes": (definition(START, {**START, "id": "j"}), "input node"),
    "two output nodes": (definition(START, node("OutputNode", "a"), node("OutputNode", "b")), "output node"),
    "an id twice": (definition(START, node("MergeNode", "i")), "same id"),
    "a cycle": (
        definition(START, node("MergeNode", "a"), node("MergeNode", "b"), links=[link("a", "b"), link("b", "a")]),
        "cycle",
    ),
    "a link to itself": (definition(START, node("MergeNode"), links=[link("n", "n")]), "n"),
    "a dangling link": (definition(START, links=[link("i", "gone")]), "gone"),
    "a link out of a router without handle": (
        definition(START, node("RouterNode", "r", route_map={"a": {"conditions": []}}), node("MergeNode"),
                   links=[link("i", "r"), link("r", "n")]),
        "route",
    ),
    "a route that is none": (
        definition(START, node("RouterNode", "r", route_map={"a": {"conditions": []}}), node("MergeNode"),
                   links=[link("i", "r"), link("r", "n", "b")]),
        "route",
    ),
    "two predecessors with one title": (
        definition(START, {**node("MergeNode", "a"), "title": "t"}, {**node("MergeNode", "b"), "title": "t"},
                   node("MergeNode"), links=[link("a", "n"), link("b", "n")]),
        "title",
    ),
    "a template that does not parse": (
        definition(START, node("SingleLLMCallNode", llm_info={"model": "gpt-4o"}, user_message="{{ oops")),
        "user_message",
    ),
    "a model that is not named": (definition(START, node("SingleLLMCallNode", llm_info={})), "model"),
    "code that does not parse": (definition(START, node("PythonFuncNode", code="return (")), "line 1"),
    "code with a NUL": (definition(START, node("PythonFuncNode", code="return {}\x00")), "NUL"),
    "a title with a NUL": (definition({**START, "title": "a\x00"}), "title"),
    "a title with a lone surrogate": (definition({**START, "title": "\ud800"}), "title"),
    "an id of a megabyte": (definition({**START, "id": "x" * 2**16}), "id"),
    "an id with a slash": (definition({**START, "id": "a/b"}), "id"),
    "an id that is a number": (definition({**START, "id": 7}), "id"),
    "a parent that is none": (definition(START, {**node("MergeNode"), "parent_id": "gone"}), "gone"),
    "a node that is its own parent": (definition(START, {**node("ForLoopNode"), "parent_id": "n"}), "n"),
    "a loop without body": (definition(START, node("ForLoopNode", num_iterations=2)), "body"),
    "a loop of too many rounds": (
        definition(START, node("ForLoopNode", num_iterations=10_001, subworkflow=definition(START))), "num_iterations",
    ),
    "a schema that refers elsewhere": (
        definition({**START, "config": {"output_json_schema": '{"$ref": "http://example.com/x"}'}}), "ref",
    ),
    "a schema that is no JSON": (definition({**START, "config": {"output_json_schema": "{"}}), "output_json_schema"),
    "a config of the wrong type": (definition(START, node("StaticValueNode", values=5)), "values"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD_DEFINITIONS))
async def test_a_definition_that_cannot_run_is_refused_with_a_sentence(api: Api, case: str) -> None:
    bad, sentence = BAD_DEFINITIONS[case]
    content = json.dumps({"name": "x", "definition": bad})
    answer = await api.ask("POST", "/wf/", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert sentence in json.dumps(answer.json()["detail"])
    assert await api.get("/wf/") == []


async def test_all_problems_are_listed_at_once_each_with_its_node(api: Api) -> None:
    bad = definition(
        START, node("Nope", "a"), node("PythonFuncNode", "b", code="("), links=[link("a", "gone")]
    )
    answer = await api.post("/wf/", {"name": "x", "definition": bad}, status=422)
    assert answer["code"] == "invalid_definition"
    assert {problem["node_id"] for problem in answer["problems"]} >= {"a", "b"}
    assert all(problem["message"] for problem in answer["problems"])


async def test_an_edit_that_is_refused_changes_nothing(api: Api) -> None:
    workflow = await api.create(HALVES)
    answer = await api.ask(
        "PUT", f"/wf/{workflow}/", json={"name": "y", "definition": definition(node("Nope"))}
    )
    assert answer.status_code == 422
    assert (await api.get(f"/wf/{workflow}/"))["name"] == "test"


@pytest.mark.parametrize(
    "body",
    [
        {"definition": HALVES},
        {"name": "", "definition": HALVES},
        {"name": " ", "definition": HALVES},
        {"name": 5, "definition": HALVES},
        {"name": None, "definition": HALVES},
        {"name": "x" * 10_001, "definition": HALVES},
        {"name": "a\x00b", "definition": HALVES},
        {"name": "x"},
        {"name": "x", "definition": HALVES, "description": 5},
    ],
)
async def test_a_workflow_needs_a_name_and_a_definition(api: Api, body: Any) -> None:
    await api.post("/wf/", body, status=422)
    assert await api.get("/wf/") == []


async def test_node_types_are_described_with_the_schema_of_their_config(api: Api) -> None:
    palette = await api.get("/node/supported_types/")
    described = {node["name"]: node for group in palette.values() for node in group}
    assert set(described) >= {
        "InputNode", "OutputNode", "StaticValueNode", "PythonFuncNode", "RouterNode", "MergeNode", "CoalesceNode",
        "HumanInterventionNode", "SingleLLMCallNode", "BestOfNNode", "ForLoopNode", "SubworkflowNode",
        "HTTPRequestNode", "FirecrawlScrapeNode", "SlackNotifyNode",
    }  # fmt: skip
    for one in described.values():
        schema = one["config"]
        assert schema["type"] == "object"
        assert {"retry", "timeout_s", "on_error", "on_interrupt"} <= schema["properties"].keys()


async def test_templates_are_listed_and_become_workflows(api: Api) -> None:
    templates = await api.get("/templates/")
    assert len(templates) >= 4
    assert all(template.keys() >= {"name", "description", "features", "file_name"} for template in templates)
    made = await api.post("/templates/instantiate/", templates[0])
    assert made["definition"]["nodes"]
    await api.post("/templates/instantiate/", {"file_name": "../../etc/passwd"}, status=404)
