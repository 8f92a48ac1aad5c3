"""A server is asked to end, at all the wrong moments: it ends in time, and the next one goes on."""

from __future__ import annotations

import json
import resource
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.providers import Providers, Reply
from tests.support.server import Server
from tests.support.torture import ROUNDS

#: What running tasks get; as delivered in the long form.
GRACE_S = 25.0 if ROUNDS else 0.5
#: Seconds beyond it: for answers, for what is being written, and for a machine that is slow.
MORE_S = 8.0
ROWS = 40


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def server(tmp_path: Path, world: Providers) -> Iterator[Server]:
    """Not started yet."""
    settings = {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}", "ROWEL_GRACE_S": str(GRACE_S)}
    server = Server(tmp_path / "data", settings)
    yield server
    server.http.close()
    server.kill()


@pytest.fixture
def caller() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def calls(world: Providers, name: str) -> dict[str, Any]:
    """A workflow that calls one path, with the run's `n`."""
    node = {"method": "POST", "url": f"{world.url}/{name}", "body": {"n": "{{input_node.n}}"}}
    return {
        "nodes": [
            {"id": "input_node", "node_type": "InputNode", "config": {"output_schema": {"n": "string"}}},
            {"id": "call", "node_type": "HTTPRequestNode", "config": node},
        ],
        "links": [{"source_id": "input_node", "target_id": "call"}],
    }


def inputs(n: int) -> dict[str, Any]:
    return {"initial_inputs": {"input_node": {"n": str(n)}}}


def wait_until(world: Providers, path: str, count: int) -> None:
    end = time.monotonic() + 20
    while len(world.to(path)) < count:
        assert time.monotonic() < end, f"{path} was called {len(world.to(path))} times, not {count}"
        world.received.wait(0.05)
        world.received.clear()


def ended_in_time(server: Server) -> None:
    """Ask it to end, and measure."""
    begun = time.monotonic()
    assert server.terminate() == 0
    assert time.monotonic() - begun < GRACE_S + MORE_S


def tries(world: Providers, path: str) -> list[str]:
    return [call.headers["idempotency-key"] for call in world.to(path)]


def test_whoever_waits_is_told_and_what_is_left_goes_on_at_the_next_start(
    server: Server, world: Providers, caller: ThreadPoolExecutor
) -> None:
    world.on("/long", world.held(Reply(json={})))
    world.on("/row", Reply(json={}, delay_s=0.05))
    server.start()
    long, row = server.create(calls(world, "long")), server.create(calls(world, "row"))
    waiting: Future[httpx.Response] = caller.submit(server.http.post, f"/wf/{long}/run/", json=inputs(0))
    dataset = server.upload("rows.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(ROWS)))
    batch = server.post(f"/wf/{row}/start_batch_run/", {"dataset_id": dataset, "mini_batch_size": 2})
    wait_until(world, "/long", 1)
    wait_until(world, "/row", 5)

    ended_in_time(server)

    answer = waiting.result()
    assert (answer.status_code, answer.json()["code"]) == (202, "running")
    assert len(set(tries(world, "/row"))) == len(tries(world, "/row")) < ROWS
    server.start()
    wait_until(world, "/long", 2)
    ended_in_time(server)
    world.released.set()
    server.start()
    assert server.wait_for(answer.json()["run"]["id"])["status"] == "COMPLETED"
    done = server.wait_for(batch["id"])
    assert (done["status"], done["percentage_complete"]) == ("COMPLETED", 100.0)
    lines = server.http.get(f"/of/{done['output_file_id']}/download/").text.splitlines()
    assert [json.loads(line)["input_node"]["n"] for line in lines] == [str(n) for n in range(ROWS)]
    assert sorted(set(tries(world, "/row"))) == sorted(tries(world, "/row"))


def test_a_second_signal_ends_it_at_once(server: Server, world: Providers, tmp_path: Path) -> None:
    world.on("/long", world.held(Reply(json={})))
    server = Server(tmp_path / "data", {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"})
    with server:
        run = server.post(f"/wf/{server.create(calls(world, 'long'))}/start_run/", inputs(0))
        wait_until(world, "/long", 1)
        assert server._process is not None
        server._process.terminate()
        while takes_connections(server):
            time.sleep(0.02)
        ended_at_once(server)
        world.released.set()
        server.start()
        assert server.wait_for(run["id"])["status"] == "COMPLETED"


def takes_connections(server: Server) -> bool:
    try:
        server.http.get("/health/live")
    except httpx.TransportError:
        return False
    return True


def ended_at_once(server: Server) -> None:
    begun = time.monotonic()
    assert server.terminate() in {0, -signal.SIGTERM}
    assert time.monotonic() - begun < MORE_S


@pytest.mark.parametrize("after_s", [0.1, 0.5] if not ROUNDS else [n / 20 for n in range(20 * ROUNDS)])
def test_one_that_comes_while_it_starts_ends_it_at_once(server: Server, after_s: float) -> None:
    process = server.spawn()
    time.sleep(after_s)
    process.terminate()

    said = process.communicate(timeout=MORE_S + GRACE_S)[0].decode()

    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in said


def test_a_store_in_trouble_does_not_keep_it(server: Server, world: Providers) -> None:
    world.on("/long", world.held(Reply(json={})))
    server.start()
    workflow = server.create(calls(world, "long"))
    run = server.post(f"/wf/{workflow}/start_run/", inputs(0))
    wait_until(world, "/long", 1)
    assert server._process is not None
    resource.prlimit(server._process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    world.released.set()
    assert server.http.post(f"/wf/{workflow}/start_run/", json=inputs(1)).status_code == 503

    ended_in_time(server)

    server.start()
    assert server.wait_for(run["id"])["status"] == "COMPLETED"
    assert len(world.to("/long")) == 2


def test_a_store_that_hangs_does_not_keep_it(server: Server, world: Providers) -> None:
    # The fifth commit is the one of the call's result.
    server._environment["ROWEL_FAULTS"] = "commit.before:5:hang"
    server.start()
    workflow = server.create(calls(world, "long"))
    run = server.post(f"/wf/{workflow}/start_run/", inputs(0))
    wait_until(world, "/long", 1)

    ended_in_time(server)

    server._environment.pop("ROWEL_FAULTS")
    server.start()
    assert server.wait_for(run["id"])["status"] == "COMPLETED"
