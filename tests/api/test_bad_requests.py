"""Whatever is sent, the answer is a 4xx with a sentence, and nothing has changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI

from rowel.api.http import create_api
from rowel.engine.engine import Engine
from tests.support.api import Api
from tests.support.workflows import HALVES

JSON = {"content-type": "application/json"}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    found = []
    for path, methods in app.openapi()["paths"].items():
        found += [(method.upper(), path) for method in methods]
    return found


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no json", b"{", b'{"a": }', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b"\xff\xfe",
        b'"text"', b"5", b"null", b"true", b"[1]", b'{"a": ' + b"1" * 5000 + b"}", b"[" * 100_000,
        b'{"name":' * 100_000, b'{"a": "\x00"}', b'{"a": 1}{"b": 2}', b"\xef\xbb\xbf",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/wf/", "/wf/{id}/run/", "/wf/{id}/start_batch_run/", "/wf/process_pause_action/{id}/"]
)
async def test_a_body_that_is_no_json_object_is_refused(api: Api, path: str, content: bytes) -> None:
    workflow = await api.create(HALVES)
    answer = await api.ask("POST", path.replace("{id}", workflow), content=content, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
    assert await api.count_runs(workflow) == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"]
)
async def test_a_body_of_another_type_is_415(api: Api, kind: str) -> None:
    answer = await api.ask("POST", "/wf/", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


async def test_json_with_a_charset_is_json(api: Api) -> None:
    content = json.dumps({"name": "x", "definition": HALVES}).encode()
    answer = await api.ask(
        "POST", "/wf/", content=content, headers={"content-type": "application/json; charset=utf-8"}
    )
    assert answer.status_code == 200


async def test_a_body_past_the_limit_is_413(api: Api) -> None:
    content = json.dumps({"name": "x", "definition": HALVES, "pad": "x" * 300_000}).encode()
    answer = await api.ask("POST", "/wf/", content=content, headers=JSON)
    assert answer.status_code == 413
    assert "262,144 bytes" in answer.json()["detail"]


async def test_a_body_that_grows_past_the_limit_while_it_comes_is_413(api: Api) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    answer = await api.ask("POST", "/wf/", content=endless(), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "bad", ["none", "0", "R1", "x" * 60_000, "%00", "%ED%A0%80", "..%2F..", "' OR 1=1 --", "é"]
)
async def test_an_id_that_names_nothing_is_404_on_every_route(api: Api, engine: Engine, bad: str) -> None:
    for method, path in routes(create_api(engine)):
        if "{" not in path:
            continue
        filled = path.split("{")[0] + bad + path.split("}", 1)[1]
        if "{" in filled:
            continue
        what: dict[str, Any] = {"json": body_for(path)} if method in {"POST", "PUT", "PATCH"} else {}
        answer = await api.ask(method, filled, **what)
        assert answer.status_code == 404, (method, path, answer.status_code, answer.text[:200])
        assert answer.json()["detail"]


def body_for(path: str) -> Any:
    """A lawful body for each route that wants one."""
    if path.endswith("process_pause_action/{run_id}/"):
        return {"action": "APPROVE", "user_id": "ann", "inputs": {}}
    if path.endswith("batch/decide/"):
        return {"node_id": "x", "action": "APPROVE", "user_id": "ann", "inputs": {}}
    if path.endswith("run_partial/"):
        return {"node_id": "x"}
    if path.endswith("start_batch_run/"):
        return {"dataset_id": "x"}
    if path.endswith("/wf/{workflow_id}/"):
        return {"name": "x", "definition": HALVES}
    return {}


@pytest.mark.parametrize(
    "path", ["/nope", "/wf/x/y/z/", "/api/", "/api/nope/", "/run/x/nope/", "//", "/wf//"]
)
async def test_an_unknown_path_is_404_in_json(api: Api, path: str) -> None:
    answer = await api.ask("GET", path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_a_wrong_method_is_405_and_says_which_are_right(api: Api) -> None:
    answer = await api.ask("PATCH", "/wf/")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}
    assert (await api.ask("GET", "/wf/x/run/")).status_code == 405


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_route_answers_with_and_without_prefix_and_slash(
    api: Api, prefix: str, slash: str
) -> None:
    workflow = await api.create(HALVES)
    for path in ("/wf", f"/wf/{workflow}", f"/wf/{workflow}/runs", "/run", "/ds", "/of", "/node/supported_types",
                 "/templates", "/wf/paused_workflows"):  # fmt: skip
        assert (await api.ask("GET", prefix + path + slash)).status_code == 200, path
    body = {"initial_inputs": {"input_node": {"n": 2}}}
    answer = await api.ask("POST", f"{prefix}/wf/{workflow}/run{slash}", json=body)
    assert answer.json()["work"] == {"half": 1.0}


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "localhost.evil.example"}, {"host": ""}],
)
async def test_a_foreign_host_is_refused(api: Api, headers: dict[str, str]) -> None:
    answer = await api.ask("GET", "/wf/", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example"])
async def test_writes_from_a_foreign_page_are_refused(api: Api, origin: str) -> None:
    answer = await api.ask(
        "POST", "/wf/", json={"name": "x", "definition": HALVES}, headers={"origin": origin}
    )
    assert answer.status_code == 403
    assert await api.get("/wf/") == []


async def test_the_order_of_judgement_is_host_path_type_size_body(api: Api) -> None:
    evil = {"host": "evil.example", "content-type": "text/plain"}
    assert (await api.ask("POST", "/nope", content=b"x", headers=evil)).status_code == 403
    assert (
        await api.ask("POST", "/nope", content=b"x", headers={"content-type": "text/plain"})
    ).status_code == 404
    big = b"x" * 300_000
    assert (
        await api.ask("POST", "/wf/", content=big, headers={"content-type": "text/plain"})
    ).status_code == 415
    assert (await api.ask("POST", "/wf/", content=big, headers=JSON)).status_code == 413
    assert (await api.ask("POST", "/wf/", content=b"x", headers=JSON)).status_code == 422


async def test_no_other_site_may_read_answers(api: Api) -> None:
    answer = await api.ask("GET", "/wf/", headers={"origin": "http://localhost:6080"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["x-content-type-options"] == "nosniff"
