"""A backup of a real server at work, and what a server makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Commands
from tests.support.providers import Providers, Reply
from tests.support.server import Server


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        providers.on("/slow", Reply(json={"ok": True}, delay_s=0.05))
        yield providers


@pytest.fixture
def server(tmp_path: Path, world: Providers) -> Iterator[Server]:
    variables = {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}", "ROWEL_SLOTS": "16"}
    with Server(tmp_path / "data", variables) as running:
        yield running


def calls(world: Providers) -> dict[str, Any]:
    """A workflow of two slow calls, whose output is what it was given."""
    call = {"method": "POST", "url": f"{world.url}/slow"}
    return {
        "nodes": [
            {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "int"}}},
            {"id": "a", "node_type": "HTTPRequestNode", "config": call},
            {"id": "b", "node_type": "HTTPRequestNode", "config": call},
            {"id": "end", "node_type": "OutputNode", "config": {"output_map": {"n": "start.n"}}},
        ],
        "links": [
            {"source_id": "start", "target_id": "a"},
            {"source_id": "a", "target_id": "b"},
            {"source_id": "b", "target_id": "end"},
            {"source_id": "start", "target_id": "end"},
        ],
    }


def test_a_backup_in_the_midst_of_work_brings_back_every_run_and_the_batch(
    server: Server, world: Providers, tmp_path: Path
) -> None:
    workflow_id = server.create(calls(world))
    rows = b"n\n" + b"".join(b"%d\n" % n for n in range(200))
    batch = {"dataset_id": server.upload("rows.csv", rows), "mini_batch_size": 4}
    batch_id = server.post(f"/wf/{workflow_id}/start_batch_run/", batch)["id"]

    def start(n: int) -> str:
        body = {"initial_inputs": {"start": {"n": n}}}
        return str(server.post(f"/wf/{workflow_id}/start_run/", body)["id"])

    with ThreadPoolExecutor(8) as clients:
        runs = dict(zip(clients.map(start, range(200)), range(200), strict=True))
        more = clients.submit(lambda: [start(n) for n in range(200, 300)])
        backup = Commands(server.url).start("backup", str(tmp_path / "b.tar"), "--data", str(server.data))
        said, _ = backup.communicate(timeout=60)
        assert backup.returncode == 0, said
        more.result()
    assert " of them open)" in said
    server.kill()

    restored = Commands(server.url)("restore", str(tmp_path / "b.tar"), "--data", str(tmp_path / "again"))
    assert restored.code == 0, restored.err
    assert f"rowel serve --data {tmp_path / 'again'}" in restored.out
    with Server(tmp_path / "again", server._environment) as again:
        for run_id, n in runs.items():
            run = again.wait_for(run_id)
            assert (run["status"], run["outputs"]["end"]) == ("COMPLETED", {"n": n})
        ended = again.wait_for(batch_id)
        lines = again.http.get(f"/of/{ended['output_file_id']}/download/").text.splitlines()
    assert ended["message"] == "200 of 200 rows completed."
    assert [json.loads(line)["end"]["n"] for line in lines] == list(range(200))
