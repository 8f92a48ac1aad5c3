"""How batches stand and go on, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES

COUNTS = ("queued", "running", "completed", "failed", "canceled", "paused")


async def started(
    api: Api, definition: Any = HALVES, content: bytes = b"n\n1\n0\n2\n0\n4\n", **wish: Any
) -> Any:
    workflow = await api.create(definition)
    dataset = await api.upload("rows.csv", content)
    return await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"], **wish})


async def standing(api: Api, batch: Any) -> Any:
    found = await api.get(f"/run/{batch['id']}/batch/")
    assert sum(found[name] for name in COUNTS) == found["total"]
    return found


async def test_a_batch_tells_how_it_stands(api: Api) -> None:
    batch = await started(api, failure_threshold={"percent": 50, "after": 5}, mini_batch_size=2)
    await api.wait_for(batch["id"])

    found = await standing(api, batch)

    assert (found["run_id"], found["status"]) == (batch["id"], "COMPLETED")
    assert [found[name] for name in COUNTS] == [0, 0, 3, 2, 0, 0]
    assert (found["tokens"], found["cost"], found["eta_s"]) == (0, 0.0, 0.0)
    assert found["rows_per_s"] > 0
    assert found["mini_batch_size"] == 2
    assert found["failure_threshold"] == {"count": None, "percent": 50.0, "after": 5}
    (cause,) = found["causes"]
    assert (cause["count"], cause["example_row"]) in {(2, 1), (2, 3)}
    assert cause["signature"].startswith("Node 'work' failed: ")
    assert (await api.get(f"/run/{cause['example_run_id']}/"))["row_index"] == cause["example_row"]


async def test_a_canary_is_approved_like_any_pause(api: Api) -> None:
    batch = await started(api, canary=2)
    await api.wait_for(batch["id"], "PAUSED")
    (waiting,) = await api.get("/wf/paused_workflows/")
    assert waiting["run"]["id"] == batch["id"]
    assert waiting["current_pause"]["node_id"] == "batch"
    assert (await standing(api, batch))["queued"] == 3

    body = {"action": "APPROVE", "user_id": "ann", "inputs": {}, "comments": "fine"}
    answer = await api.post(f"/wf/process_pause_action/{batch['id']}/", body, node_id="batch")

    assert answer["message"] == "The rest of the batch was approved by ann: fine"
    assert (await api.wait_for(batch["id"]))["message"] == "3 of 5 rows completed, 2 failed."
    (pause,) = await api.get(f"/wf/pause_history/{batch['id']}/")
    assert (pause["resume_action"], pause["resume_user_id"]) == ("APPROVE", "ann")
    await api.post(f"/wf/process_pause_action/{batch['id']}/", body, status=409)


async def test_a_declined_canary_ends_the_batch(api: Api) -> None:
    batch = await started(api, canary=2)
    await api.wait_for(batch["id"], "PAUSED")

    body = {"action": "DECLINE", "user_id": "ann", "inputs": {}}
    answer = await api.post(f"/wf/process_pause_action/{batch['id']}/", body)

    assert (answer["status"], answer["percentage_complete"]) == ("CANCELED", 100.0)
    assert [(await standing(api, batch))[name] for name in COUNTS] == [0, 0, 1, 1, 3, 0]


async def test_a_batch_past_its_threshold_says_so(api: Api) -> None:
    batch = await started(api, failure_threshold={"count": 0}, mini_batch_size=1)
    end = await api.wait_for(batch["id"])

    assert end["status"] == "FAILED"
    assert end["message"] == "The batch was ended: more than 0 rows failed (1 of 2); 3 rows were not begun."
    download = await api.ask("GET", f"/of/{batch['output_file_id']}/download/")
    assert len(download.text.splitlines()) == 2


async def test_columns_are_mapped_to_fields(api: Api) -> None:
    batch = await started(api, content=b"number,n\n8,x\n", column_map={"n": "number"})

    assert (await api.wait_for(batch["id"]))["message"] == "1 of 1 rows completed."


async def test_a_batch_can_be_changed_while_it_is_open(api: Api) -> None:
    batch = await started(api, canary=2, failure_threshold={"count": 1})
    await api.wait_for(batch["id"], "PAUSED")
    path = f"/run/{batch['id']}/batch/"

    changed = (await api.ask("PATCH", path, json={"mini_batch_size": 7})).json()
    assert (changed["mini_batch_size"], changed["failure_threshold"]["count"]) == (7, 1)
    changed = (await api.ask("PATCH", path, json={"failure_threshold": {"percent": 12.5}})).json()
    assert changed["failure_threshold"] == {"count": None, "percent": 12.5, "after": None}
    changed = (await api.ask("PATCH", path, json={"failure_threshold": None})).json()
    assert (changed["mini_batch_size"], changed["failure_threshold"]) == (7, None)
    changed = (await api.ask("PATCH", path, json={})).json()
    assert (changed["mini_batch_size"], changed["failure_threshold"]) == (7, None)
    await api.post(f"/wf/cancel_workflow/{batch['id']}/")
    answer = await api.ask("PATCH", path, json={"mini_batch_size": 2})
    assert answer.status_code == 409
    assert "CANCELED" in answer.json()["detail"]


RUBBISH: list[dict[str, Any]] = [
    {"mini_batch_size": 0}, {"mini_batch_size": "5"}, {"mini_batch_size": 10_001}, {"mini_batch_size": 1.5},
    {"failure_threshold": {}}, {"failure_threshold": 5}, {"failure_threshold": {"after": 3}},
    {"failure_threshold": {"count": -1}}, {"failure_threshold": {"count": 1.5}},
    {"failure_threshold": {"count": True}}, {"failure_threshold": {"percent": 101}},
    {"failure_threshold": {"percent": "5%"}}, {"failure_threshold": {"percent": 5, "after": 0}},
    {"failure_threshold": {"count": 5, "after": 5}},
]  # fmt: skip


@pytest.mark.parametrize("rubbish", RUBBISH, ids=str)
async def test_a_change_that_makes_no_sense_is_refused(api: Api, rubbish: Any) -> None:
    batch = await started(api, ASKS, b"amount\n1\n")
    await api.wait_for(batch["id"], "PAUSED")

    answer = await api.ask("PATCH", f"/run/{batch['id']}/batch/", json=rubbish)

    assert answer.status_code == 422, answer.text
    found = await standing(api, batch)
    assert (found["mini_batch_size"], found["failure_threshold"]) == (10, None)


@pytest.mark.parametrize(
    ("rubbish", "status"),
    [
        *((one, 422) for one in RUBBISH),
        ({"canary": 0}, 422),
        ({"canary": "3"}, 422),
        ({"column_map": {"n": 1}}, 422),
        ({"column_map": ["n"]}, 422),
        ({"column_map": {"n": "none"}}, 400),
        ({"column_map": {"none": "n"}}, 400),
    ],
    ids=str,
)
async def test_a_wish_that_makes_no_sense_starts_nothing(api: Api, rubbish: Any, status: int) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"n\n1\n")

    body = {"dataset_id": dataset["id"], **rubbish}
    await api.post(f"/wf/{workflow}/start_batch_run/", body, status=status)

    assert await api.count_runs(workflow) == 0


async def test_a_run_that_is_no_batch_has_no_standing(api: Api) -> None:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"n": 1}}})

    answer = await api.get(f"/run/{run['id']}/batch/", status=404)
    assert "is no batch" in answer["detail"]
    assert (await api.ask("PATCH", f"/run/{run['id']}/batch/", json={})).status_code == 404
    await api.get("/run/none/batch/", status=404)


async def lines_of(api: Api, batch: Any) -> list[Any]:
    answer = await api.ask("GET", f"/of/{batch['output_file_id']}/download/")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_failed_rows_run_again_on_a_new_version_and_the_output_holds_all(api: Api) -> None:
    batch = await started(api)
    end = await api.wait_for(batch["id"])
    assert end["redrive_of"] is None
    (cause,) = (await standing(api, batch))["causes"]
    better = {
        "nodes": [
            HALVES["nodes"][0],
            {"id": "work", "node_type": "StaticValueNode", "config": {"values": {"half": 0}}},
        ],
        "links": HALVES["links"],
    }
    saved = {"name": "better", "definition": better}
    await api.ask("PUT", f"/wf/{batch['workflow_id']}/", json=saved)

    wish = {"rows": {"cause": cause["signature"]}, "version": "latest"}
    again = await api.post(f"/run/{batch['id']}/batch/redrive/", wish)
    done = await api.wait_for(again["id"])

    assert (again["redrive_of"], again["rerun_of"], again["run_type"]) == (batch["id"], None, "batch")
    assert (done["workflow_version"]["version"], done["message"]) == (2, "2 of 2 rows completed.")
    assert (await standing(api, again))["total"] == 2
    assert [line["work"]["half"] for line in await lines_of(api, again)] == [0.5, 0, 1.0, 0, 2.0]
    assert [line.get("row_index") for line in await lines_of(api, batch)] == [None, 1, None, 3, None]
    listed = await api.get("/run/", rerun_of=batch["id"])
    assert [run["id"] for run in listed] == [again["id"]]


async def test_a_body_of_nothing_runs_the_failed_rows_again(api: Api) -> None:
    batch = await started(api)
    await api.wait_for(batch["id"])

    again = await api.post(f"/run/{batch['id']}/batch/redrive/")

    assert (await api.wait_for(again["id"]))["message"] == "0 of 2 rows completed, 2 failed."
    assert [line.get("row_index") for line in await lines_of(api, again)] == [None, 1, None, 3, None]


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"rows": "none"}, 422),
        ({"rows": []}, 422),
        ({"rows": [5]}, 422),
        ({"rows": [-1]}, 422),
        ({"rows": [1.5]}, 422),
        ({"rows": 3}, 422),
        ({"rows": {"cause": "made up"}}, 422),
        ({"rows": {"cause": 5}}, 422),
        ({"rows": {}}, 422),
        ({"version": "newest"}, 422),
        ({"version": 0}, 422),
        ({"version": 7}, 404),
    ],
    ids=str,
)
async def test_a_redrive_that_cannot_be_starts_nothing(api: Api, wish: Any, status: int) -> None:
    batch = await started(api)
    await api.wait_for(batch["id"])
    before = await api.count_runs(batch["workflow_id"])

    answer = await api.post(f"/run/{batch['id']}/batch/redrive/", wish, status=status)

    assert answer["detail"]
    assert await api.count_runs(batch["workflow_id"]) == before


async def test_a_redrive_with_a_key_is_done_once(api: Api) -> None:
    batch = await started(api)
    await api.wait_for(batch["id"])
    path, headers = f"/run/{batch['id']}/batch/redrive/", {"Idempotency-Key": "again"}

    first, second = [await api.http.post(path, json={}, headers=headers) for _ in range(2)]
    other = await api.http.post(path, json={"version": "latest"}, headers=headers)

    assert (first.status_code, second.status_code, other.status_code) == (200, 200, 409)
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"


async def test_an_open_batch_is_not_redriven(api: Api) -> None:
    batch = await asking(api)

    answer = await api.post(f"/run/{batch['id']}/batch/redrive/", status=409)

    assert answer["code"] == "still_open"
    assert "PAUSED" in answer["detail"]


async def asking(api: Api, rows: int = 4) -> Any:
    batch = await started(api, ASKS, b"amount\n" + b"1\n" * rows)
    await api.wait_for(batch["id"], "PAUSED")
    return batch


async def test_many_rows_are_decided_at_once(api: Api) -> None:
    batch = await asking(api)
    path = f"/run/{batch['id']}/batch/decide/"
    body = {"node_id": "ask", "action": "APPROVE", "user_id": "ann", "inputs": {"ok": True}}

    first = await api.post(path, {**body, "rows": [0, 3]})
    second = await api.post(path, {**body, "rows": [0, 1]})
    third = await api.post(path, {**body, "comments": "the rest"})

    assert first == {"decided": 2, "refused": 0, "refusals": []}
    assert (second["decided"], second["refused"]) == (1, 1)
    (refusal,) = second["refusals"]
    assert refusal.keys() == {"row_index", "run_id", "detail", "code"}
    assert (refusal["row_index"], refusal["code"]) == (0, "not_paused")
    assert third["decided"] == 1
    assert (await api.wait_for(batch["id"]))["message"] == "4 of 4 rows completed."
    answer = await api.post(path, body, status=409)
    assert "COMPLETED" in answer["detail"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"node_id": "none"}, 404),
        ({"node_id": 1}, 422),
        ({"action": "MAYBE"}, 422),
        ({"user_id": ""}, 422),
        ({"inputs": {"ok": "yes"}}, 422),
        ({"inputs": None}, 422),
        ({"rows": [4]}, 422),
        ({"rows": [-1]}, 422),
        ({"rows": ["1"]}, 422),
        ({"rows": 1}, 422),
        ({"rows": [10**30]}, 422),
        ({"except_rows": [9]}, 422),
    ],
    ids=str,
)
async def test_a_decision_that_cannot_be_decides_nothing(api: Api, change: Any, status: int) -> None:
    batch = await asking(api)
    body = {"node_id": "ask", "action": "APPROVE", "user_id": "ann", "inputs": {"ok": True}}

    await api.post(f"/run/{batch['id']}/batch/decide/", {**body, **change}, status=status)

    assert (await standing(api, batch))["paused"] == 4
