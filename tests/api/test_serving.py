"""A server on a real network: what it takes, how it begins, how it ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

import rowel.api.http
from rowel.api.body import JudgedRoute
from rowel.api.http import RESOURCES, create_api
from rowel.app import create_app, create_options, find_templates
from rowel.engine.engine import Engine
from rowel.settings import Settings
from tests.support.processes import eventually
from tests.support.server import Server
from tests.support.serving import say, serving
from tests.support.source import ROOT
from tests.support.workflows import ASKS, HALVES

#: Modules that cost tens of milliseconds or megabytes.
LATER = {
    "alembic", "httpx", "obstore", "polars", "procrastinate", "psycopg", "pydantic_ai", "pydantic_monty", "pygments",
    "sandlock",
}  # fmt: skip

HEAD = b"Host: localhost\r\n"


@pytest.fixture
async def app(engine: Engine) -> FastAPI:
    return create_api(engine)


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    async with serving(app) as port:
        yield port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as running:
        yield running


@pytest.mark.parametrize("path", ["/wf/{}/", "/api/wf/{}/runs", "/run/{}/tasks/", "/files/{}"])
async def test_an_id_of_a_megabyte_names_nothing(port: int, path: str) -> None:
    target = path.format("x" * 2**20).encode()

    answered = await say(port, b"GET " + target + b" HTTP/1.1\r\n" + HEAD + b"\r\n")

    assert answered.startswith(b"HTTP/1.1 404 ")
    assert len(answered) < 1000


async def test_a_query_of_a_megabyte_is_judged_like_any_other(port: int) -> None:
    query = b"?page=1&page=" + b"1" * 2**20

    answered = await say(port, b"GET /wf/" + query + b" HTTP/1.1\r\n" + HEAD + b"\r\n")

    assert answered.startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"FOO /wf/ HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET /" + b"\xc3\xa9" * 40_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"POST /wf/ HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_json_too(port: int, request_: bytes) -> None:
    head, _, body = (await say(port, request_)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "bad_request"


async def test_a_body_that_is_declared_too_large_is_refused_before_it_comes(port: int) -> None:
    head = b"Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"

    assert (await say(port, b"POST /wf/ HTTP/1.1\r\n" + HEAD + head)).startswith(b"HTTP/1.1 413 ")


async def test_a_connection_goes_on_after_a_refusal(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://localhost:{port}") as http:
        headers = {"content-type": "application/json"}
        for status in (413, 200):
            content = (
                b" " * (2**25 + 1 if status == 413 else 0)
                + json.dumps({"name": "x", "definition": HALVES}).encode()
            )
            assert (await http.post("/wf/", content=content, headers=headers)).status_code == status


async def test_events_come_live_and_a_listener_that_leaves_is_let_go(port: int, engine: Engine) -> None:
    listeners = engine._house.wakeups
    async with httpx.AsyncClient(base_url=f"http://localhost:{port}", timeout=20) as http:
        workflow = (await http.post("/wf/", json={"name": "x", "definition": ASKS})).json()["id"]
        body = {"initial_inputs": {"input_node": {"amount": 1}}}
        run_id = (await http.post(f"/wf/{workflow}/run/", json=body)).json()["run"]["id"]
        async with http.stream("GET", f"/run/{run_id}/events/?last_event_id=5") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == ": hello"
            await eventually(lambda: listeners._of_run)
            decision = {"action": "APPROVE", "user_id": "ann", "inputs": {}}
            await http.post(f"/wf/process_pause_action/{run_id}/", json=decision)
            seen = [line async for line in lines if line.startswith("id: ")]
        assert seen[0] == "id: 6"
        await eventually(lambda: not listeners._of_run)
        async with http.stream("GET", "/events/") as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            await eventually(lambda: listeners._of_all)
            await http.post(f"/wf/{workflow}/start_run/", json=body)
            async for line in lines:
                if line.startswith("data: "):
                    assert json.loads(line.removeprefix("data: "))["run_id"] != run_id
                    break
    await eventually(lambda: not listeners._of_all)


async def test_a_client_that_hangs_up_does_not_stop_its_run(port: int, engine: Engine) -> None:
    slow = json.loads(json.dumps(HALVES))
    slow["nodes"][1]["config"]["code"] = "import time\ntime.sleep(1)\nreturn {}"
    async with httpx.AsyncClient(base_url=f"http://localhost:{port}", timeout=20) as http:
        workflow = (await http.post("/wf/", json={"name": "x", "definition": slow})).json()["id"]
        body = {"initial_inputs": {"input_node": {"n": 1}}}
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"/wf/{workflow}/run/", json=body, timeout=0.3)
        async with asyncio.timeout(20):
            while (await http.get(f"/wf/{workflow}/runs/?status=COMPLETED")).json() == []:  # noqa: ASYNC110  # a client can only look
                await asyncio.sleep(0.05)


def test_a_server_ends_with_0_on_sigterm_though_somebody_listens(server: Server) -> None:
    with server.http.stream("GET", "/events/") as stream:
        assert next(stream.iter_lines()) == ": hello"
        assert server.terminate() == 0


def test_a_blocking_run_gets_its_answer_when_the_server_ends(server: Server) -> None:
    slow = json.loads(json.dumps(HALVES))
    slow["nodes"][1]["config"]["code"] = "import time\ntime.sleep(2)\nreturn {'half': 1}"
    workflow = server.create(slow)
    body = {"initial_inputs": {"input_node": {"n": 1}}}
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(server.http.post, f"/wf/{workflow}/run/", json=body)
        while not server.get(f"/wf/{workflow}/runs/?status=RUNNING"):
            time.sleep(0.05)

        assert server.terminate() == 0

    assert answer.result().json()["work"] == {"half": 1}


def test_a_second_server_on_the_same_directory_or_port_says_why_it_does_not_begin(
    server: Server, tmp_path: Path
) -> None:
    beside = server.spawn()
    told = beside.communicate(timeout=30)[0].decode()
    assert (beside.returncode, "Address already in use" in told) == (3, True)

    beside = Server(server.data).spawn()
    told = beside.communicate(timeout=30)[0].decode()
    assert beside.returncode == 3
    assert f"in use by Rowel process {server._process.pid} at {server.url}" in told
    assert "Traceback" not in told


def test_a_server_that_is_ready_has_loaded_nothing_that_is_needed_later(sqlite_url: str) -> None:
    program = """
import asyncio, sys
from rowel.app import create_app
from rowel.settings import Settings

async def begin():
    app = create_app(Settings.from_environment({"ROWEL_DATA": sys.argv[1]}))
    async with app.router.lifespan_context(app):
        print(*sys.modules)

asyncio.run(begin())
"""
    data = Path(sqlite_url.removeprefix("sqlite:///")).parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(data)],
        cwd=ROOT / "src",
        capture_output=True,
        text=True,
        check=True,
    )

    assert LATER & set(done.stdout.split()) == set()


def test_to_serve_no_model_of_an_answer_is_made() -> None:
    routes = [route for resource in RESOURCES for route in resource.router.routes]

    assert all(isinstance(route, JudgedRoute) for route in routes)
    assert [route.path for route in routes if route.response_field or route.response_fields] == []
    assert any(route.documented().response_field for route in routes)


async def test_the_documentation_is_made_beside_the_event_loop(
    app: FastAPI, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers = []

    def make(**_: object) -> dict[str, str]:
        makers.append(threading.current_thread())
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(rowel.api.http, "get_openapi", make)

    for _ in range(2):
        answered = await say(port, b"GET /openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert answered.endswith(b'{"openapi":"3.1.0"}')
    assert len(makers) == 1
    assert makers[0] is not threading.main_thread()


async def test_an_app_for_other_servers_opens_and_closes_its_engine(tmp_path: Path) -> None:
    app = create_app(Settings(data=tmp_path / "data"))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        assert (await http.get("/health/ready")).json() == {"status": "ok"}
        assert (await http.get("/health/live")).json() == {"status": "ok"}
        app.state.closing.set()
        answer = await http.get("/health/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "shutting down" in answer.json()["detail"]
        assert (await http.get("/health/live")).status_code == 200


def test_settings_become_the_options_of_the_api() -> None:
    options = create_options(Settings(body_limit=1, definition_limit=2, upload_limit=3, allowed_hosts=("a",)))

    assert (options.limits.body, options.limits.definition, options.limits.upload) == (1, 2, 3)
    assert options.hosts is not None
    assert "a" in options.hosts
    assert options.templates == find_templates() == ROOT / "examples"
