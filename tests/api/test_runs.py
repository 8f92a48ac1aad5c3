"""The ten endpoints, sentence by sentence."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES, LOOPS

RUN_FIELDS = {
    "id", "workflow_id", "workflow_version_id", "workflow_version", "status", "start_time", "end_time",
    "initial_inputs", "outputs", "tasks", "parent_run_id", "run_type", "output_file_id", "input_dataset_id",
    "message", "duration", "percentage_complete",
}  # fmt: skip
TASK_FIELDS = {
    "id", "run_id", "node_id", "parent_task_id", "status", "inputs", "outputs", "error", "start_time", "end_time",
    "subworkflow", "subworkflow_output",
}  # fmt: skip
VERSION_FIELDS = {
    "version",
    "name",
    "description",
    "definition",
    "definition_hash",
    "created_at",
    "updated_at",
}
PAUSE_FIELDS = {
    "id", "run_id", "node_id", "pause_message", "pause_time", "resume_time", "resume_user_id", "resume_action",
    "input_data", "comments",
}  # fmt: skip


def inputs(**fields: Any) -> dict[str, Any]:
    return {"initial_inputs": {"input_node": fields}}


def decision(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "user_id": "ann", "inputs": {}, **fields}


async def paused_run(api: Api) -> str:
    workflow = await api.create(ASKS)
    answer = await api.post(f"/wf/{workflow}/run/", inputs(amount=1), status=202)
    return str(answer["run"]["id"])


async def test_a_blocking_run_answers_the_outputs_by_node(api: Api) -> None:
    workflow = await api.create(HALVES)
    assert await api.post(f"/wf/{workflow}/run/", inputs(n=4)) == {
        "input_node": {"n": 4},
        "work": {"half": 2.0},
    }


async def test_a_background_run_answers_at_once_with_every_documented_field(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/start_run/", inputs(n=4))
    assert run["status"] in {"PENDING", "RUNNING"}
    assert run.keys() >= RUN_FIELDS
    assert run["workflow_version"].keys() >= VERSION_FIELDS
    assert run["workflow_version"]["version"] == 1
    assert [task["status"] for task in run["tasks"]] == ["PENDING", "PENDING"]
    assert (run["run_type"], run["end_time"], run["message"]) == ("interactive", None, None)
    ended = await api.wait_for(run["id"])
    assert (ended["status"], ended["percentage_complete"]) == ("COMPLETED", 100.0)
    assert ended["start_time"] == run["start_time"]
    assert all(task.keys() >= TASK_FIELDS for task in ended["tasks"])
    assert [task["id"] for task in ended["tasks"]] == [task["id"] for task in run["tasks"]]


async def test_times_carry_their_offset(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", inputs(n=4))
    for moment in (run["start_time"], run["end_time"], run["tasks"][0]["start_time"]):
        offset = datetime.fromisoformat(moment).utcoffset()
        assert offset is not None
        assert offset.total_seconds() == 0
    assert run["duration"] >= 0


async def test_runv2_answers_with_the_run(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", inputs(n=4))
    assert (run["status"], run["outputs"]["work"]) == ("COMPLETED", {"half": 2.0})


async def test_a_blocking_run_that_fails_names_the_node_and_its_error(api: Api) -> None:
    workflow = await api.create(HALVES)
    answer = await api.post(f"/wf/{workflow}/run/", inputs(n=0), status=422)
    assert answer["code"] == "run_failed"
    assert "'work' failed: ValueError: zero" in answer["detail"]
    task = answer["run"]["tasks"][1]
    assert task["status"] == "FAILED"
    assert task["error"].startswith("ValueError: zero")
    assert "raise ValueError('zero')" in task["error"]
    assert "site-packages" not in task["error"]


async def test_a_blocking_run_that_pauses_answers_202_with_the_run(api: Api) -> None:
    workflow = await api.create(ASKS)
    answer = await api.post(f"/wf/{workflow}/run/", inputs(amount=1), status=202)
    assert answer["code"] == "paused"
    run = answer["run"]
    assert (run["status"], run["end_time"], run["percentage_complete"]) == (
        "PAUSED",
        None,
        pytest.approx(100 / 3),
    )
    assert [task["status"] for task in run["tasks"]] == ["COMPLETED", "PAUSED", "PENDING"]


async def test_a_blocking_run_past_its_timeout_answers_202_and_goes_on(api: Api) -> None:
    definition = json.loads(json.dumps(HALVES))
    definition["nodes"][1]["config"]["code"] = "import time\ntime.sleep(0.5)\nreturn {}"
    workflow = await api.create(definition)
    answer = await api.post(f"/wf/{workflow}/run/", inputs(n=1), status=202, timeout=0.1)
    assert answer["code"] == "running"
    assert (await api.wait_for(answer["run"]["id"]))["status"] == "COMPLETED"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "x", "1e9"])
async def test_a_timeout_that_is_none_is_refused(api: Api, timeout: str) -> None:
    workflow = await api.create(HALVES)
    await api.post(f"/wf/{workflow}/run/", inputs(n=1), status=422, timeout=timeout)
    assert await api.count_runs(workflow) == 0


async def test_a_run_needs_a_json_object_be_it_empty(api: Api) -> None:
    workflow = await api.create({"nodes": [{"id": "i", "node_type": "InputNode"}], "links": []})
    assert await api.post(f"/wf/{workflow}/run/", {}) == {"i": {}}
    assert (await api.ask("POST", f"/wf/{workflow}/run/")).status_code in {415, 422}
    assert await api.count_runs(workflow) == 1


async def test_a_cancel_needs_no_body(api: Api) -> None:
    run_id = await paused_run(api)
    assert (await api.ask("POST", f"/wf/cancel_workflow/{run_id}/")).json()["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "lacks the required fields n"),
        (inputs(), "lacks the required fields n"),
        (inputs(n="4"), "field 'n': expected integer, got text"),
        ({"initial_inputs": {"nobody": {}}}, "no node 'nobody'"),
        ({"initial_inputs": {"work": {}}}, "'work' takes no inputs"),
        ({**inputs(n=1), "parent_run_id": "none"}, "no run 'none'"),
        ({"initial_inputs": []}, "initial_inputs"),
        ({"initial_inputs": {"input_node": 1}}, "must be an object"),
        ({**inputs(n=1), "files": {"input_node": "a"}}, "files"),
        ({**inputs(n=1), "parent_run_id": 1}, "parent_run_id"),
    ],
)
@pytest.mark.parametrize("route", ["run", "start_run", "runv2"])
async def test_wrong_inputs_are_refused_and_leave_no_run(
    api: Api, route: str, body: Any, sentence: str
) -> None:
    workflow = await api.create(HALVES)
    answer = await api.ask("POST", f"/wf/{workflow}/{route}/", json=body)
    assert 400 <= answer.status_code < 500
    assert sentence in json.dumps(answer.json()["detail"])
    assert await api.count_runs(workflow) == 0


async def test_a_run_may_name_its_parent(api: Api) -> None:
    workflow = await api.create(HALVES)
    parent = await api.post(f"/wf/{workflow}/runv2/", inputs(n=1))
    child = await api.post(f"/wf/{workflow}/runv2/", {**inputs(n=2), "parent_run_id": parent["id"]})
    assert child["parent_run_id"] == parent["id"]
    found = await api.get(f"/wf/{workflow}/runs/", parent_run_id=parent["id"])
    assert [run["id"] for run in found] == [child["id"]]


async def test_files_become_the_field_files_of_the_input(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(
        f"/wf/{workflow}/runv2/", {**inputs(n=2), "files": {"input_node": ["uploads/x/a.pdf"]}}
    )
    assert run["outputs"]["input_node"] == {"n": 2, "files": ["uploads/x/a.pdf"]}


async def test_a_data_uri_is_kept_as_a_file_and_its_path_handed_on(api: Api) -> None:
    workflow = await api.create({"nodes": [{"id": "i", "node_type": "InputNode"}], "links": []})
    uri = "data:image/png;base64,iVBORw0KGgo="
    outputs = await api.post(f"/wf/{workflow}/run/", {"initial_inputs": {"i": {"a": uri, "b": "data:, no"}}})
    assert outputs["i"]["a"].endswith(".png")
    assert outputs["i"]["b"] == "data:, no"
    assert (await api.ask("GET", f"/files/{outputs['i']['a']}")).content.startswith(b"\x89PNG")


async def test_part_of_a_workflow_runs_on_given_outputs_and_is_hidden_from_lists(api: Api) -> None:
    workflow = await api.create(HALVES)
    body = {"node_id": "work", "partial_outputs": {"input_node": {"n": 10}}}
    assert await api.post(f"/wf/{workflow}/run_partial/", body) == {
        "input_node": {"n": 10},
        "work": {"half": 5.0},
    }
    assert await api.get(f"/wf/{workflow}/runs/") == []
    (run,) = await api.get(f"/wf/{workflow}/runs/", run_type="partial")
    assert run["run_type"] == "partial"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"node_id": "nobody"}, "nobody"),
        ({"node_id": "work", "partial_outputs": {"nobody": {}}}, "nobody"),
        ({"node_id": "work", "initial_inputs": {"nobody": {}}}, "nobody"),
        ({"node_id": "work", "partial_outputs": {"input_node": 1}}, "must be an object"),
        ({"node_id": "work"}, "lacks the required fields n"),
        ({}, "node_id"),
        ({"node_id": 1}, "node_id"),
    ],
)
async def test_a_partial_run_of_what_is_not_there_is_refused(api: Api, body: Any, sentence: str) -> None:
    workflow = await api.create(HALVES)
    answer = await api.ask("POST", f"/wf/{workflow}/run_partial/", json=body)
    assert answer.status_code in {400, 404, 422}
    assert sentence in json.dumps(answer.json()["detail"])
    assert await api.get(f"/wf/{workflow}/runs/", run_type="partial") == []


async def test_three_answers_to_one_question_give_three_results(api: Api) -> None:
    results = {}
    for action in ("APPROVE", "DECLINE", "OVERRIDE"):
        run_id = await paused_run(api)
        answered = await api.post(
            f"/wf/process_pause_action/{run_id}/", decision(action, inputs={"ok": True}, comments="so")
        )
        assert "ann: so" in answered["message"]
        run = await api.wait_for(run_id)
        results[action] = (run["status"], (run["outputs"] or {}).get("ask"))
        (pause,) = await api.get(f"/wf/pause_history/{run_id}/")
        assert pause.keys() >= PAUSE_FIELDS
        assert (pause["resume_action"], pause["resume_user_id"], pause["comments"]) == (action, "ann", "so")
        assert pause["pause_message"] == "Pay?"
        assert pause["input_data"] == {"input_node": {"amount": 1}}
    assert results == {
        "APPROVE": ("COMPLETED", {"input_node": {"amount": 1}, "ok": True}),
        "DECLINE": ("CANCELED", None),
        "OVERRIDE": ("COMPLETED", {"ok": True}),
    }


async def test_of_fifty_answers_at_once_exactly_one_wins(api: Api) -> None:
    run_id = await paused_run(api)
    path = f"/wf/process_pause_action/{run_id}/"
    answers = await asyncio.gather(*[api.ask("POST", path, json=decision("APPROVE")) for _ in range(50)])
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(409)) == (1, 49)
    assert (await api.wait_for(run_id))["status"] == "COMPLETED"
    assert len(await api.get(f"/wf/pause_history/{run_id}/")) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (decision("APPROVE", inputs={"ok": "yes"}), 422),
        (decision("PERHAPS"), 422),
        ({"action": "APPROVE", "inputs": {}}, 422),
        ({"action": "APPROVE", "user_id": "ann"}, 422),
        (decision("APPROVE", inputs=[]), 422),
        (decision("APPROVE", user_id="x" * 10_001), 422),
        (decision("APPROVE", comments=5), 422),
        ({}, 422),
        ([], 422),
    ],
)
async def test_an_answer_that_is_none_leaves_the_run_paused(api: Api, body: Any, status: int) -> None:
    run_id = await paused_run(api)
    await api.post(f"/wf/process_pause_action/{run_id}/", body, status=status)
    assert (await api.get(f"/run/{run_id}/"))["status"] == "PAUSED"
    (pause,) = await api.get(f"/wf/pause_history/{run_id}/")
    assert pause["resume_time"] is None


async def test_a_run_that_does_not_wait_refuses_answers_and_names_its_state(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", inputs(n=1))
    answer = await api.post(f"/wf/process_pause_action/{run['id']}/", decision("APPROVE"), status=409)
    assert "COMPLETED" in answer["detail"]
    assert await api.get(f"/wf/pause_history/{run['id']}/") == []


async def test_the_inbox_lists_what_waits_newest_first(api: Api) -> None:
    ids = [await paused_run(api) for _ in range(3)]
    found = await api.get("/wf/paused_workflows/")
    assert [waiting["run"]["id"] for waiting in found] == ids[::-1]
    assert found[0].keys() == {"run", "current_pause", "workflow"}
    assert found[0]["workflow"]["nodes"][1]["id"] == "ask"
    assert len(await api.get("/wf/paused_workflows/", page=2, page_size=2)) == 1


async def test_a_paused_run_is_canceled_at_once_with_its_tasks(api: Api) -> None:
    run_id = await paused_run(api)
    run = await api.post(f"/wf/cancel_workflow/{run_id}/")
    assert run["status"] == "CANCELED"
    assert run["message"]
    assert run["end_time"] is not None
    assert [task["status"] for task in run["tasks"]] == ["COMPLETED", "CANCELED", "CANCELED"]
    answer = await api.post(f"/wf/cancel_workflow/{run_id}/", status=409)
    assert "CANCELED" in answer["detail"]
    await api.post(f"/wf/process_pause_action/{run_id}/", decision("APPROVE"), status=409)


async def test_a_paused_run_ends_on_its_own_version(api: Api) -> None:
    workflow = await api.create(ASKS)
    run_id = (await api.post(f"/wf/{workflow}/run/", inputs(amount=1), status=202))["run"]["id"]
    answer = await api.ask("PUT", f"/wf/{workflow}/", json={"name": "new", "definition": HALVES})
    assert answer.status_code == 200
    await api.post(f"/wf/process_pause_action/{run_id}/", decision("APPROVE"))
    run = await api.wait_for(run_id)
    assert (run["status"], run["workflow_version"]["version"]) == ("COMPLETED", 1)
    assert run["outputs"]["paid"] == {"paid": True}
    second = await api.post(f"/wf/{workflow}/runv2/", inputs(n=1))
    assert second["workflow_version"]["version"] == 2
    third = await api.post(f"/wf/{workflow}/runv2/", inputs(n=1))
    assert third["workflow_version_id"] == second["workflow_version_id"]
    assert [version["version"] for version in await api.get(f"/wf/{workflow}/versions/")] == [2, 1]


async def test_a_loop_shows_its_body_and_what_each_round_gave(api: Api) -> None:
    workflow = await api.create(LOOPS)
    run = await api.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"text": "x"}}})
    tasks = {task["id"].removeprefix(f"{run['id']}."): task for task in run["tasks"]}
    assert set(tasks) == {"input_node", "loop", "loop.0.begin", "loop.0.end", "loop.1.begin", "loop.1.end"}
    assert tasks["loop.1.end"]["parent_task_id"] == f"{run['id']}.loop"
    assert [node["id"] for node in tasks["loop"]["subworkflow"]["nodes"]] == ["begin", "end"]
    assert len(tasks["loop"]["subworkflow_output"]["end"]) == 2
    assert set(run["outputs"]) == {"input_node", "loop"}


async def test_runs_are_listed_newest_first_by_page_status_time_and_type(api: Api) -> None:
    workflow = await api.create(HALVES)
    runs = [
        await api.post(f"/wf/{workflow}/runv2/", inputs(n=n), status=200 if n else 422) for n in (1, 0, 2)
    ]
    listed = await api.get(f"/wf/{workflow}/runs/")
    assert [run["status"] for run in listed] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert [run["id"] for run in await api.get(f"/wf/{workflow}/runs/", page=2, page_size=1)] == [
        listed[1]["id"]
    ]
    assert [run["id"] for run in await api.get(f"/wf/{workflow}/runs/?status=FAILED")] == [listed[1]["id"]]
    start = runs[2]["start_time"]
    assert [run["id"] for run in await api.get(f"/wf/{workflow}/runs/", start_date=start)] == [runs[2]["id"]]
    assert len(await api.get(f"/wf/{workflow}/runs/", end_date=start)) == 3
    assert await api.get(f"/wf/{workflow}/runs/", run_type="batch") == []
    assert [run["id"] for run in await api.get("/run/")] == [run["id"] for run in listed]


@pytest.mark.parametrize(
    "query",
    [
        {"page": 0}, {"page": -1}, {"page": "x"}, {"page": 1_000_001}, {"page": 10**30}, {"page_size": 0},
        {"page_size": 101}, {"page_size": "1.5"}, {"status": "DONE"}, {"run_type": "odd"}, {"start_date": "yesterday"},
        {"end_date": "2026-13-01"},
    ],
)  # fmt: skip
async def test_odd_pages_and_filters_are_refused(api: Api, query: dict[str, Any]) -> None:
    workflow = await api.create(HALVES)
    answer = await api.ask("GET", f"/wf/{workflow}/runs/", params=query)
    assert answer.status_code == 422
    assert next(iter(query)) in json.dumps(answer.json()["detail"])


async def test_a_cursor_pages_through_all_runs_without_gaps(api: Api) -> None:
    workflow = await api.create(HALVES)
    ids = [(await api.post(f"/wf/{workflow}/runv2/", inputs(n=n)))["id"] for n in range(1, 6)]
    found: list[str] = []
    path = "/run/?limit=2"
    while path:
        answer = await api.ask("GET", path)
        found += [run["id"] for run in answer.json()]
        link = answer.headers.get("link", "")
        path = link.split(">")[0].removeprefix("<") if 'rel="next"' in link else ""
    assert found == ids[::-1]


async def test_one_run_is_read_whole_slim_or_only_its_tasks(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", inputs(n=1))
    assert (await api.get(f"/run/{run['id']}/"))["tasks"] == run["tasks"]
    assert (await api.get(f"/run/{run['id']}/status/"))["status"] == "COMPLETED"
    assert await api.get(f"/run/{run['id']}/tasks/") == run["tasks"]
    slim = await api.get(f"/run/{run['id']}/", slim="true")
    assert slim.keys() >= RUN_FIELDS


@pytest.mark.parametrize(
    "value", [10**40, -0.0, 1.5e300, "\x00", "\ud800", "é\u2028", [[[]]], {"": None}, True]
)
async def test_values_come_back_as_they_were_sent(api: Api, value: Any) -> None:
    workflow = await api.create({"nodes": [{"id": "i", "node_type": "InputNode"}], "links": []})
    body = json.dumps({"initial_inputs": {"i": {"v": value}}})
    headers = {"content-type": "application/json"}
    answer = await api.ask("POST", f"/wf/{workflow}/run/", content=body, headers=headers)
    assert json.loads(answer.text) == {"i": {"v": value}}
    (run,) = await api.get(f"/wf/{workflow}/runs/")
    assert run["outputs"] == {"i": {"v": value}}
