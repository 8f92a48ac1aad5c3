"""Running again over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES, LOOPS


async def ended_run(api: Api, definition: Any = HALVES, **fields: Any) -> Any:
    """A run that has ended, with these inputs."""
    workflow = await api.create(definition)
    run = await api.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"input_node": fields}})
    return await api.wait_for(run["id"])


async def rerun(api: Api, run: Any, **body: Any) -> Any:
    """The rerun of a run, once it has ended."""
    return await api.wait_for((await api.post(f"/run/{run['id']}/rerun/", body))["id"])


def tasks_of(run: Any) -> dict[str, Any]:
    return {task["node_id"]: task for task in run["tasks"]}


async def test_a_rerun_is_a_run_of_its_own_that_says_what_it_reused(api: Api) -> None:
    old = await ended_run(api, n=4)
    new = await rerun(api, old, from_nodes=["work"])

    assert (new["status"], new["run_type"], new["rerun_of"]) == ("COMPLETED", "rerun", old["id"])
    assert (old["rerun_of"], new["parent_run_id"], new["row_index"]) == (None, None, None)
    assert new["outputs"] == old["outputs"]
    assert new["initial_inputs"] == old["initial_inputs"]
    told = {name: (task["reused"], task["given"], task["attempt"]) for name, task in tasks_of(new).items()}
    assert told == {"input_node": (True, False, 0), "work": (False, False, 1)}
    assert tasks_of(new)["input_node"]["inputs"] == {"n": 4}


async def test_a_rerun_is_answered_as_it_was_accepted(api: Api) -> None:
    old = await ended_run(api, n=0)
    accepted = await api.post(f"/run/{old['id']}/rerun/", {})

    assert (accepted["status"], accepted["rerun_of"]) == ("PENDING", old["id"])
    assert tasks_of(accepted)["input_node"]["status"] == "COMPLETED"
    assert accepted["percentage_complete"] == 50.0
    ended = await api.wait_for(accepted["id"])
    assert (ended["status"], ended["start_time"]) == ("FAILED", accepted["start_time"])


async def test_outputs_are_edited_and_inputs_replaced(api: Api) -> None:
    old = await ended_run(api, n=0)
    assert old["status"] == "FAILED"
    edited = await rerun(api, old, edits={"input_node": {"n": 10}})
    replaced = await rerun(api, old, initial_inputs={"input_node": {"n": 20}})

    assert edited["outputs"] == {"input_node": {"n": 10}, "work": {"half": 5.0}}
    assert tasks_of(edited)["input_node"]["given"] is True
    assert replaced["outputs"] == {"input_node": {"n": 20}, "work": {"half": 10.0}}
    assert replaced["initial_inputs"] == {"input_node": {"n": 20}}


async def test_a_corrected_version_takes_up_what_the_broken_one_left(api: Api) -> None:
    old = await ended_run(api, n=0)
    corrected: dict[str, Any] = {
        **HALVES,
        "nodes": [HALVES["nodes"][0], {**HALVES["nodes"][1], "config": {"code": "return {'half': 0}"}}],
    }
    await api.ask("PUT", f"/wf/{old['workflow_id']}/", json={"name": "better", "definition": corrected})
    new = await rerun(api, old, version="latest")
    back = await rerun(api, new, version=1)

    assert (new["workflow_version"]["version"], new["outputs"]["work"]) == (2, {"half": 0})
    assert tasks_of(new)["input_node"]["reused"] is True
    assert (back["workflow_version"]["version"], back["status"]) == (1, "FAILED")


async def test_a_plan_says_of_each_node_what_becomes_of_it_and_starts_nothing(api: Api) -> None:
    old = await ended_run(api, n=0)
    plan = await api.post(f"/run/{old['id']}/rerun/", {"dry_run": True})

    assert plan == {
        "rerun_of": old["id"],
        "workflow_id": old["workflow_id"],
        "version": 1,
        "nodes": [
            {
                "node_id": "input_node",
                "fate": "reuse",
                "why": "it completed, and nothing before it runs",
                "touches_outside": False,
            },
            {"node_id": "work", "fate": "run", "why": "it failed", "touches_outside": False},
        ],
    }
    assert await api.count_runs(old["workflow_id"]) == 1


async def test_a_partial_run_is_repeated_and_listed_as_a_rerun(api: Api) -> None:
    workflow = await api.create(HALVES)
    given = {"node_id": "work", "partial_outputs": {"input_node": {"n": 8}}}
    await api.post(f"/wf/{workflow}/run_partial/", given)
    (partial,) = await api.get(f"/wf/{workflow}/runs/", run_type="partial")
    assert tasks_of(partial)["input_node"]["given"] is True
    new = await rerun(api, partial)

    assert new["outputs"] == partial["outputs"]
    assert [run["id"] for run in await api.get(f"/wf/{workflow}/runs/")] == [new["id"]]


async def test_a_row_of_a_batch_is_repeated_and_the_batch_is_not(api: Api) -> None:
    workflow = await api.create(HALVES)
    dataset = await api.upload("rows.csv", b"n\n0\n2\n")
    batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
    await api.wait_for(batch["id"])
    rows = await api.get("/run/", parent_run_id=batch["id"])
    (row,) = [row for row in rows if row["status"] == "FAILED"]
    new = await rerun(api, row, edits={"input_node": {"n": 6}})

    assert (new["outputs"]["work"], new["row_index"]) == ({"half": 3.0}, None)
    refused = await api.post(f"/run/{batch['id']}/rerun/", {}, status=409)
    assert refused["code"] == "is_batch"
    assert "redrive" in refused["detail"]
    assert (await api.get(f"/run/{batch['id']}/"))["rerun_of"] is None


async def test_reruns_are_listed_by_what_they_repeat(api: Api) -> None:
    old = await ended_run(api, n=4)
    new = {(await rerun(api, old))["id"] for _ in range(2)}

    for path in ("/run/", f"/wf/{old['workflow_id']}/runs/"):
        assert {run["id"] for run in await api.get(path, rerun_of=old["id"])} == new
        assert await api.get(path, rerun_of=min(new)) == []
        assert (await api.get(path, 404, rerun_of="nobody"))["code"] == "not_found"
    assert {run["id"] for run in await api.get("/run/", run_type="rerun")} == new


async def test_a_run_that_is_open_is_refused_by_its_status(api: Api) -> None:
    workflow = await api.create(ASKS)
    paused = await api.post(
        f"/wf/{workflow}/run/", {"initial_inputs": {"input_node": {"amount": 1}}}, status=202
    )
    refused = await api.post(f"/run/{paused['run']['id']}/rerun/", {}, status=409)

    assert refused["code"] == "still_open"
    assert "PAUSED" in refused["detail"]


async def test_an_unknown_run_is_404_whatever_the_body_says(api: Api) -> None:
    for body in ({}, {"version": "odd"}, {"from_nodes": 1}):
        assert (await api.post("/run/nobody/rerun/", body, status=404))["code"] == "not_found"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"from_nodes": ["nobody"]}, 404, "'nobody'"),
        ({"edits": {"nobody": {}}}, 404, "'nobody'"),
        ({"version": 9}, 404, "version 9"),
        ({"from_nodes": ["begin"]}, 422, "body of 'loop'"),
        ({"edits": {"loop.0.begin": {}}}, 422, "body of 'loop'"),
        ({"from_nodes": ["loop"], "edits": {"loop": {}}}, 422, "both chosen and edited"),
        ({"initial_inputs": {"loop": {}}}, 400, "'loop' takes no inputs"),
        ({"initial_inputs": {"input_node": {"text": 5}}}, 400, "text"),
        ({"from_nodes": "loop"}, 422, "from_nodes"),
        ({"from_nodes": [1]}, 422, "from_nodes"),
        ({"edits": []}, 422, "edits"),
        ({"edits": {"loop": 1}}, 422, "edits"),
        ({"initial_inputs": {"input_node": 1}}, 422, "initial_inputs"),
        ({"version": "oldest"}, 422, "version"),
        ({"version": 0}, 422, "version"),
        ({"version": 1.5}, 422, "version"),
        ({"version": True}, 422, "version"),
        ({"version": 10**30}, 422, "version"),
        ({"dry_run": 1}, 422, "dry_run"),
    ],
    ids=str,
)
async def test_what_can_not_be_is_refused_and_leaves_no_run(
    api: Api, body: Any, status: int, words: str
) -> None:
    old = await ended_run(api, LOOPS, text="x")

    for dry_run in (True, False):
        refused = await api.post(f"/run/{old['id']}/rerun/", {"dry_run": dry_run, **body}, status=status)
        assert words in str(refused["detail"])
    assert await api.count_runs(old["workflow_id"]) == 1
