"""The disk of a serving server is full, and its database locked by another process: it says so, and recovers."""

from __future__ import annotations

import re
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import not_run
from tests.support.providers import Providers, Reply
from tests.support.server import Server
from tests.support.torture import ROUNDS

#: Seconds within which a client hears that something is refused: the wait for a lock, twice, and the pause between.
TOLD_WITHIN_S = 12.0

CALLS = {
    "nodes": [
        {"id": "input_node", "node_type": "InputNode", "config": {}},
        {"id": "call", "node_type": "HTTPRequestNode", "config": {"method": "POST", "url": "to be said"}},
        {"id": "sum", "node_type": "PythonFuncNode", "config": {"code": "return {'ok': True}"}},
    ],
    "links": [
        {"source_id": "input_node", "target_id": "call"},
        {"source_id": "call", "target_id": "sum"},
    ],
}
ASKS = {
    "nodes": [
        {"id": "input_node", "node_type": "InputNode", "config": {}},
        {"id": "ask", "node_type": "HumanInterventionNode", "config": {}},
    ],
    "links": [{"source_id": "input_node", "target_id": "ask"}],
}
DECISION = {"action": "APPROVE", "user_id": "ann", "inputs": {}}


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def server(tmp_path: Path, world: Providers) -> Iterator[Server]:
    with Server(tmp_path / "data", {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as running:
        yield running


def refused(server: Server, path: str, body: Any) -> str:
    """The sentence with which a command is refused: soon, with 503, and with a time to come back."""
    begun = time.monotonic()
    answer = server.http.post(path, json=body)
    assert time.monotonic() - begun < TOLD_WITHIN_S
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert int(answer.headers["retry-after"]) > 0
    return str(answer.json()["detail"])


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No file of this server's may grow beyond its first page."""
    assert server._process is not None
    pid, before = server._process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(server: Server) -> Iterator[None]:
    with closing(sqlite3.connect(server.data / "rowel.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def filled(server: Server) -> Iterator[None]:
    """The last byte of the disk that the data lie on is taken."""
    ballast = server.data / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        except OSError:
            pass
    yield
    ballast.unlink()


@pytest.mark.parametrize("trouble", [full_disk, locked])
def test_it_refuses_with_503_loses_nothing_and_goes_on_by_itself(
    server: Server, world: Providers, trouble: Callable[[Server], Any]
) -> None:
    outlives(server, world, trouble)


@pytest.mark.skipif(not ROUNDS, reason="needs a disk of its own: the long form, see docs/fault-points.md")
def test_nor_does_a_disk_that_is_really_full_harm_it(
    request: pytest.FixtureRequest, tmp_path: Path, world: Providers
) -> None:
    data = tmp_path / "small"
    data.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", data], capture_output=True, check=False
    )
    if mounted.returncode:
        not_run.leave_out(request, "A disk to be filled", "Run as root, where mount is permitted.")
    try:
        with Server(data, {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as server:
            outlives(server, world, filled)
    finally:
        subprocess.run(["umount", data], check=True)


def outlives(server: Server, world: Providers, trouble: Callable[[Server], Any]) -> None:
    world.on("/a", world.held(Reply(json={"ok": True})))
    definition = {**CALLS, "nodes": [dict(node) for node in CALLS["nodes"]]}
    definition["nodes"][1]["config"] = {"method": "POST", "url": f"{world.url}/a"}
    workflow, asking = server.create(definition), server.create(ASKS)
    dataset = server.upload("rows.csv", b"n\n1\n2\n")
    paused = server.post(f"/wf/{asking}/runv2/", status=202)["run"]["id"]
    moving = [server.post(f"/wf/{workflow}/start_run/")["id"] for _ in range(3)]
    while len(world.to("/a")) < 3:
        world.received.wait(0.05)
    known = server.get(f"/wf/{workflow}/runs/")

    with trouble(server):
        world.released.set()
        commands = [
            (f"/wf/{workflow}/start_run/", {}),
            (f"/wf/{workflow}/run/", {}),
            (f"/wf/process_pause_action/{paused}/", DECISION),
            (f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset}),
            (f"/wf/cancel_workflow/{paused}/", {}),
            ("/wf/", {"name": "new", "definition": definition}),
        ]
        with ThreadPoolExecutor(len(commands)) as clients:
            said = clients.map(lambda command: refused(server, *command), commands)
            for sentence in said:
                assert re.search("nothing was changed|is not known", sentence), sentence
        assert server.http.get("/health/ready").status_code == 503
        assert server.get("/health/live")
        assert len(server.get(f"/wf/{workflow}/runs/")) == len(known)
        assert server.get(f"/run/{paused}/")["status"] == "PAUSED"

    for run_id in moving:
        assert server.wait_for(run_id)["status"] == "COMPLETED"
    assert server.get("/health/ready")
    assert len(world.to("/a")) == 3
    server.post(f"/wf/process_pause_action/{paused}/", DECISION)
    assert server.wait_for(paused)["status"] == "COMPLETED"
    batch = server.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset})
    assert server.wait_for(batch["id"])["message"] == "2 of 2 rows completed."
    server.kill()
    server.start()
    assert {run["status"] for run in server.get(f"/wf/{workflow}/runs/?page_size=100")} == {"COMPLETED"}
