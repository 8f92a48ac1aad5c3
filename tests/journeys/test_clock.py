"""The clock of a real server jumps an hour, forth and back, also while it is down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.providers import Providers, Reply
from tests.support.server import Server

HOUR_S = 3600


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file that says by how many seconds the server's clock is ahead."""
    file = tmp_path / "clock"
    file.write_text("0")
    return file


@pytest.fixture
def server(tmp_path: Path, world: Providers, clock: Path) -> Iterator[Server]:
    settings = {
        "CLOCK_FILE": str(clock),
        "ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}",
        "ROWEL_PAUSES_EACH_S": "0.1",
    }
    with Server(tmp_path / "data", settings, program="tests.support.shifted") as running:
        yield running


def flow(*nodes: dict[str, Any]) -> dict[str, Any]:
    """An input node, and the others one after another."""
    every = [{"id": "input_node", "node_type": "InputNode", "config": {}}, *nodes]
    ids = [node["id"] for node in every]
    links = [{"source_id": one, "target_id": other} for one, other in pairwise(ids)]
    return {"nodes": every, "links": links}


def call(world: Providers, name: str, **config: Any) -> dict[str, Any]:
    config = {"method": "POST", "url": f"{world.url}/{name}", **config}
    return {"id": name, "node_type": "HTTPRequestNode", "config": config}


def ask(**config: Any) -> dict[str, Any]:
    return {"id": "ask", "node_type": "HumanInterventionNode", "config": config}


def lasted(thing: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(thing[name]) for name in ("start_time", "end_time"))
    return (end - start).total_seconds()


def test_what_waits_for_its_time_gets_it_and_nothing_lasts_less_than_nothing(
    server: Server, world: Providers, clock: Path
) -> None:
    world.on("/flaky", Reply(status=503), Reply(json={}))
    world.on("/slow", world.held(Reply(json={})))
    late = 0.9 * HOUR_S
    retried = server.create(
        flow(call(world, "flaky", fail_on_status=True, retry={"attempts": 2, "backoff_s": late}))
    )
    asked = server.create(flow(ask(timeout_s=late, on_timeout="approve")))
    slow = server.create(flow(call(world, "slow")))
    waiting = [server.post(f"/wf/{workflow}/start_run/")["id"] for workflow in (retried, asked)]
    answered = server.post(f"/wf/{asked}/start_run/")["id"]
    moving = server.post(f"/wf/{slow}/start_run/")["id"]
    for run_id in (waiting[1], answered):
        server.wait_for(run_id, "PAUSED")
    server.post(
        f"/wf/process_pause_action/{answered}/", {"action": "OVERRIDE", "user_id": "ann", "inputs": {"by": 1}}
    )
    while not world.to("/slow") or not world.to("/flaky"):
        world.received.wait(0.05)

    clock.write_text(str(HOUR_S))
    for run_id in waiting:
        assert server.wait_for(run_id)["status"] == "COMPLETED"
    clock.write_text(str(-HOUR_S))
    server.kill()
    server.start()
    world.released.set()
    assert server.wait_for(moving)["status"] == "COMPLETED"

    last = server.post(f"/wf/{slow}/start_run/")["id"]
    for run_id in (*waiting, answered, moving, last):
        run = server.wait_for(run_id)
        assert run["duration"] >= 0
        assert all(lasted(one) >= 0 for one in (run, *run["tasks"]))
    (pause,) = server.get(f"/wf/pause_history/{answered}/")
    assert (pause["resume_user_id"], pause["resume_inputs"]) == ("ann", {"by": 1})
    assert [run["id"] for run in pages(server, slow)] == [moving, last]


def pages(server: Server, workflow_id: str) -> Iterator[dict[str, Any]]:
    """The workflow's runs, newest start first, one a page."""
    path: str | None = f"/wf/{workflow_id}/runs/?page_size=1"
    while path is not None:
        answer = server.http.get(path)
        yield from answer.json()
        path = answer.links["next"]["url"] if "next" in answer.links else None
