"""Nodes that are not run again over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import HALVES


def cached_halves() -> Any:
    first, work = HALVES["nodes"]
    return {**HALVES, "nodes": [first, {**work, "config": {**work["config"], "cache_s": 3600}}]}


def is_cached(run: Any) -> bool:
    return bool(next(task for task in run["tasks"] if task["node_id"] == "work")["cached"])


async def test_a_start_may_ask_for_everything_to_be_done_anew(api: Api) -> None:
    workflow = await api.create(cached_halves())
    body = {"initial_inputs": {"input_node": {"n": 4}}}

    async def cached(path: str, **query: Any) -> bool:
        return is_cached(await api.wait_for((await api.post(path, body, **query))["id"]))

    assert not await cached(f"/wf/{workflow}/runv2/")
    assert await cached(f"/wf/{workflow}/runv2/")
    assert await cached(f"/wf/{workflow}/start_run/")
    assert not await cached(f"/wf/{workflow}/runv2/", fresh="true")
    assert not await cached(f"/wf/{workflow}/start_run/", fresh="true")
    assert await cached(f"/wf/{workflow}/start_run/", fresh="false")


async def test_batches_reruns_and_redrives_may_too(api: Api) -> None:
    workflow = await api.create(cached_halves())
    dataset = await api.upload("rows.csv", b"n\n4\n")

    async def row_of(path: str, body: Any, **query: Any) -> Any:
        batch = await api.wait_for((await api.post(path, body, **query))["id"])
        (row,) = await api.get("/run/", parent_run_id=batch["id"])
        return batch, await api.get(f"/run/{row['id']}/")

    start = f"/wf/{workflow}/start_batch_run/"
    batch, row = await row_of(start, {"dataset_id": dataset["id"]})
    assert not is_cached(row)
    assert is_cached((await row_of(start, {"dataset_id": dataset["id"]}))[1])
    assert not is_cached((await row_of(start, {"dataset_id": dataset["id"]}, fresh="true"))[1])
    redrive = f"/run/{batch['id']}/batch/redrive/"
    assert is_cached((await row_of(redrive, {"rows": [0]}))[1])
    assert not is_cached((await row_of(redrive, {"rows": [0]}, fresh="true"))[1])
    again = await api.post(f"/run/{row['id']}/rerun/", {"from_nodes": ["work"]}, fresh="true")
    assert not is_cached(await api.wait_for(again["id"]))


async def test_a_fresh_start_is_another_request_than_one_that_is_not(api: Api) -> None:
    workflow = await api.create(cached_halves())
    body, key = {"initial_inputs": {"input_node": {"n": 4}}}, {"idempotency-key": "k"}

    async def ask(query: str) -> int:
        path = f"/wf/{workflow}/start_run/{query}"
        return (await api.ask("POST", path, json=body, headers=key)).status_code

    assert [await ask(""), await ask("?fresh=false"), await ask("?fresh=true")] == [200, 200, 409]


@pytest.mark.parametrize("word", ["maybe", "2", ""])
async def test_what_is_neither_true_nor_false_is_refused(api: Api, word: str) -> None:
    workflow = await api.create(cached_halves())

    await api.post(f"/wf/{workflow}/start_run/", {}, status=422, fresh=word)
