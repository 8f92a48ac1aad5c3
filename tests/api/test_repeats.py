"""Requests with an `Idempotency-Key`: asked twice, done once."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import httpx
import pytest

from rowel.core.errors import Unavailable
from rowel.engine.engine import Engine
from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES

BODY = {"initial_inputs": {"input_node": {"n": 4}}}
FAILS = {"initial_inputs": {"input_node": {"n": 0}}}
ACTION = {"action": "APPROVE", "user_id": "ann", "inputs": {"ok": True}, "comments": "Fine."}


async def keyed(api: Api, path: str, body: Any = None, key: str = "k", **query: Any) -> httpx.Response:
    """POST with a key; `body` is a value, or a text that is sent as it is."""
    content = body if isinstance(body, str) else json.dumps(BODY if body is None else body)
    headers = {"Idempotency-Key": key, "content-type": "application/json"}
    return await api.ask("POST", path, content=content, headers=headers, params=query or None)


def is_replay(answer: httpx.Response) -> bool:
    return "idempotent-replayed" in answer.headers


@pytest.fixture
async def halves(api: Api) -> str:
    return await api.create(HALVES)


@pytest.fixture
async def asks(api: Api) -> str:
    """A run that waits for a person."""
    workflow = await api.create(ASKS)
    body = {"initial_inputs": {"input_node": {"amount": 3}}}
    return str((await api.post(f"/wf/{workflow}/runv2/", body, 202))["run"]["id"])


async def request_of(api: Api, name: str, workflow: str, run_id: str) -> tuple[str, Any]:
    """The path and the body of each request that takes a key."""
    if name == "rerun":
        ended = await api.post(f"/wf/{workflow}/runv2/", BODY)
        return f"/run/{ended['id']}/rerun/", {"from_nodes": ["work"]}
    if name == "redrive":
        dataset = await api.upload("rows.csv", b"n\n1\n0\n")
        batch = await api.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]})
        await api.wait_for(batch["id"])
        return f"/run/{batch['id']}/batch/redrive/", {"rows": "failed"}
    if name == "decide":
        dataset = await api.upload("rows.csv", b"amount\n1\n2\n3\n")
        asks = await api.create(ASKS)
        batch = await api.post(f"/wf/{asks}/start_batch_run/", {"dataset_id": dataset["id"]})
        await api.wait_for(batch["id"], "PAUSED")
        return f"/run/{batch['id']}/batch/decide/", {**ACTION, "node_id": "ask", "except_rows": [1]}
    if name == "start_batch_run":
        dataset = await api.upload("rows.csv", b"n\n1\n2\n")
        return f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset["id"]}
    if name == "process_pause_action":
        return f"/wf/process_pause_action/{run_id}/", ACTION
    return f"/wf/{workflow}/{name}/", {**BODY, "node_id": "work"} if name == "run_partial" else BODY


async def count_all(api: Api) -> int:
    """All runs, without rows of batches."""
    found = [*await api.get("/run/", limit=100), *await api.get("/run/", run_type="partial")]
    return sum(run["row_index"] is None for run in found)


NAMES = [
    "run", "runv2", "start_run", "run_partial", "start_batch_run", "process_pause_action", "rerun", "redrive",
    "decide",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_request_gets_the_same_bytes_and_is_done_once(
    api: Api, halves: str, asks: str, name: str
) -> None:
    path, body = await request_of(api, name, halves, asks)
    before = await count_all(api)

    first = await keyed(api, path, body)
    again = [await keyed(api, path, body), await keyed(api, f"/api{path.rstrip('/')}", body)]

    assert first.status_code == 200
    assert not is_replay(first)
    for answer in again:
        assert (answer.status_code, answer.content) == (200, first.content)
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.headers["content-type"] == first.headers["content-type"]
    assert await count_all(api) - before == (0 if name in ("process_pause_action", "decide") else 1)
    other = await keyed(api, path, {**body, "extra": 1})
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")


@pytest.mark.parametrize("name", NAMES)
async def test_of_many_at_once_one_is_done(api: Api, halves: str, asks: str, name: str) -> None:
    path, body = await request_of(api, name, halves, asks)

    answers = await asyncio.gather(*[keyed(api, path, body) for _ in range(20)])

    refused = [answer for answer in answers if answer.status_code == 409]
    for answer in refused:
        assert answer.json()["code"] == "in_progress"
        assert answer.headers["retry-after"] == "1"
    done = [answer for answer in answers if answer.status_code == 200]
    assert len(refused) + len(done) == 20
    assert sum(not is_replay(answer) for answer in done) == 1
    assert len({answer.content for answer in done}) == 1


async def test_a_failure_is_an_answer_too(api: Api, halves: str) -> None:
    first = await keyed(api, f"/wf/{halves}/run/", FAILS)
    again = await keyed(api, f"/wf/{halves}/run/", FAILS)

    assert (first.status_code, first.json()["code"]) == (422, "run_failed")
    assert (again.status_code, again.content, is_replay(again)) == (422, first.content, True)


async def test_that_a_run_waits_for_people_stays_the_answer(api: Api) -> None:
    workflow = await api.create(ASKS)
    body = {"initial_inputs": {"input_node": {"amount": 1}}}
    first = await keyed(api, f"/wf/{workflow}/run/", body)
    run_id = first.json()["run"]["id"]
    await keyed(api, f"/wf/process_pause_action/{run_id}/", ACTION)
    await api.wait_for(run_id)

    again = await keyed(api, f"/wf/{workflow}/run/", body)

    assert (first.status_code, first.json()["code"]) == (202, "paused")
    assert (again.status_code, again.content, is_replay(again)) == (202, first.content, True)


async def test_a_decision_says_again_what_was_decided_though_the_run_went_on(api: Api, asks: str) -> None:
    path = f"/wf/process_pause_action/{asks}/"
    await keyed(api, path, ACTION)
    await api.wait_for(asks, "COMPLETED")

    again = (await keyed(api, path, ACTION)).json()

    assert (again["status"], again["message"]) == ("RUNNING", "Node 'ask' was approved by ann: Fine.")
    unkeyed = await api.post(path, ACTION, 409)
    assert unkeyed["code"] == "not_paused"


async def test_a_decision_about_rows_says_again_what_was_decided_though_they_went_on(
    api: Api, halves: str, asks: str
) -> None:
    path, body = await request_of(api, "decide", halves, asks)
    bad = await keyed(api, path, {**body, "inputs": {"ok": "yes"}})
    first = await keyed(api, path, body)

    again = await keyed(api, path, body)

    assert bad.status_code == 422
    assert first.json() == {"decided": 2, "refused": 0, "refusals": []}
    assert (again.content, is_replay(again)) == (first.content, True)
    assert (await api.post(path, body))["decided"] == 0


async def test_a_wait_that_was_over_too_soon_is_answered_once_the_run_rests(api: Api) -> None:
    slow = copy.deepcopy(HALVES)
    slow["nodes"][1]["config"]["code"] = "import time\ntime.sleep(1)\nreturn {'half': 2}"
    path = f"/wf/{await api.create(slow)}/run/"

    late = await keyed(api, path, timeout=0.01)
    early = await keyed(api, path, timeout=30)
    await api.wait_for(late.json()["run"]["id"])
    ended = await keyed(api, path)

    assert (late.status_code, late.json()["code"]) == (202, "running")
    assert (early.status_code, early.json()["code"], early.headers["retry-after"]) == (
        409,
        "in_progress",
        "1",
    )
    assert late.json()["run"]["id"] in early.json()["detail"]
    assert (ended.status_code, ended.json()["work"], is_replay(ended)) == (200, {"half": 2}, True)


EQUAL = [
    ('{"initial_inputs": {"input_node": {"n": 4, "t": "é"}}}', True),
    ('{ "initial_inputs":{"input_node":{"t":"\\u00e9","n":4}} }', True),
    ('{"initial_inputs": {"input_node": {"n": 4, "t": "e\\u0301"}}}', False),
    ('{"initial_inputs": {"input_node": {"n": 4, "t": "é", "u": null}}}', False),
]


@pytest.mark.parametrize(("body", "is_same"), EQUAL)
async def test_what_counts_is_what_a_body_says_as_json(
    api: Api, halves: str, body: str, is_same: bool
) -> None:
    await keyed(api, f"/wf/{halves}/start_run/", EQUAL[0][0])

    again = await keyed(api, f"/wf/{halves}/start_run/", body)

    assert again.status_code == (200 if is_same else 409)


async def test_values_that_are_hard_to_write_come_back_alike(api: Api, halves: str) -> None:
    text = (
        '{"initial_inputs": {"input_node": {"n": 4, "x": "\\ud800 \\u0000 \U0001f600", "\\udfff": '
        "123456789012345678901234567890, "
        '"y": [1e-7, -0.0]}}}'
    )
    for path in (f"/wf/{halves}/start_run/", f"/wf/{halves}/runv2/"):
        first = await keyed(api, path, text)
        again = await keyed(api, path, text)
        assert (again.content, is_replay(again)) == (first.content, True)
        assert again.json()["initial_inputs"] == json.loads(text)["initial_inputs"]


async def test_a_key_is_another_one_on_another_route_and_for_another_workflow(api: Api, halves: str) -> None:
    other = await api.create(HALVES)

    answers = [
        await keyed(api, f"/wf/{workflow}/{name}/")
        for workflow in (halves, other)
        for name in ("run", "runv2", "start_run")
    ]

    assert [answer.status_code for answer in answers] == [200] * 6
    assert not any(map(is_replay, answers))
    assert [await api.count_runs(workflow) for workflow in (halves, other)] == [3, 3]


async def test_which_node_is_meant_counts_and_how_long_one_waits_does_not(
    api: Api, halves: str, asks: str
) -> None:
    await keyed(api, f"/wf/{halves}/run/", timeout=10)
    assert is_replay(await keyed(api, f"/wf/{halves}/run/", timeout=20))

    await keyed(api, f"/wf/process_pause_action/{asks}/", ACTION)
    named = await keyed(api, f"/wf/process_pause_action/{asks}/", ACTION, node_id="ask")
    assert (named.status_code, named.json()["code"]) == (409, "key_reused")


async def test_what_was_refused_was_not_done_and_its_key_is_free(api: Api, halves: str) -> None:
    path = f"/wf/{halves}/start_run/"
    bad = [{"initial_inputs": {"input_node": {"n": "x"}}}, {"initial_inputs": 1}, {"parent_run_id": "none"}]

    refused = [await keyed(api, path, body) for body in bad]

    assert [answer.status_code for answer in refused] == [400, 422, 400]
    assert not is_replay(await keyed(api, path))
    assert await api.count_runs(halves) == 1


async def test_while_the_store_refuses_writes_the_answer_is_503_and_the_key_is_free(
    api: Api, engine: Engine, halves: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable

    path, headers = f"/wf/{halves}/start_run/", {"Idempotency-Key": "k"}
    await api.post(path, BODY)
    with monkeypatch.context() as trouble:
        trouble.setattr(engine._house.database.writer, "write", refuse)
        refused = await api.http.post(path, json=BODY, headers=headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")

    assert not is_replay(await keyed(api, path))
    assert await api.count_runs(halves) == 2


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ([""], "1 to 255 printable ASCII characters"),
        (["x" * 256], "1 to 255 printable ASCII characters"),
        (["é".encode()], "1 to 255 printable ASCII characters"),
        ([b"a\x00b"], "1 to 255 printable ASCII characters"),
        (["a", "b"], "given 2 times"),
    ],
)
async def test_a_key_that_is_none_is_refused_and_named(
    api: Api, halves: str, keys: list[Any], what: str
) -> None:
    headers = [(b"Idempotency-Key", key.encode() if isinstance(key, str) else key) for key in keys]

    answer = await api.ask("POST", f"/wf/{halves}/start_run/", json=BODY, headers=headers)

    assert answer.status_code == 422
    (mistake,) = answer.json()["detail"]
    assert mistake["loc"] == ["header", "Idempotency-Key"]
    assert what in mistake["msg"]
    assert await api.count_runs(halves) == 0


async def test_the_longest_key_and_one_with_spaces_are_taken(api: Api, halves: str) -> None:
    for key in ("x" * 255, 'order 4711 / "a" ~'):
        assert not is_replay(await keyed(api, f"/wf/{halves}/start_run/", key=key))
        assert is_replay(await keyed(api, f"/wf/{halves}/start_run/", key=key))


async def test_a_dry_run_starts_nothing_and_needs_no_key(api: Api, halves: str) -> None:
    ended = await api.post(f"/wf/{halves}/runv2/", BODY)
    path = f"/run/{ended['id']}/rerun/"

    planned = await keyed(api, path, {"dry_run": True})
    started = await keyed(api, path, {})

    assert "nodes" in planned.json()
    assert not is_replay(started)


async def test_the_header_is_documented_on_the_routes_that_take_it(api: Api) -> None:
    paths = (await api.get("/openapi.json"))["paths"]
    documented = {
        operation["operationId"]
        for methods in paths.values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
    }
    assert {
        "run_workflow",
        "run_workflow_v2",
        "start_run",
        "run_partial",
        "start_batch_run",
        "process_pause_action",
        "rerun",
        "redrive_batch",
        "decide_rows",
    } <= documented
    for methods in paths.values():
        for operation in methods.values():
            is_repeatable = operation["operationId"] in documented
            assert is_repeatable is (
                "Idempotent-Replayed" in operation["responses"].get("200", {}).get("headers", {})
            )
            assert not is_repeatable or "409" in operation["responses"]
