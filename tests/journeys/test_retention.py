"""Retention beside a real server at work, killed in the middle, and by two servers at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.server import Server

ECHO = {
    "nodes": [
        {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "int"}}},
        {"id": "end", "node_type": "OutputNode", "config": {"output_map": {"n": "start.n"}}},
    ],
    "links": [{"source_id": "start", "target_id": "end"}],
}


def ran_batch(server: Server, workflow_id: str, count: int) -> Any:
    rows = b"n\n" + b"".join(b"%d\n" % n for n in range(count))
    batch = {"dataset_id": server.upload("rows.csv", rows), "mini_batch_size": 50}
    return server.wait_for(server.post(f"/wf/{workflow_id}/start_batch_run/", batch)["id"])


def run(server: Server, workflow_id: str, n: int) -> Any:
    return server.post(f"/wf/{workflow_id}/runv2/", {"initial_inputs": {"start": {"n": n}}})


def pruned(server: Server) -> dict[str, int]:
    """Prune until nothing is left; return the sums."""
    total: dict[str, int] = {}
    while True:
        told = server.post("/prune/", {"older_than_s": 0})
        is_complete = told.pop("is_complete")
        total = {name: total.get(name, 0) + count for name, count in told.items()}
        if is_complete:
            return total


def files_in(directory: Path) -> list[str]:
    return [path.parent.name for path in (directory / "files").rglob("*") if path.is_file()]


@pytest.mark.parametrize("delay_s", [0.05, 0.2, 0.5])
def test_a_server_that_is_killed_while_it_prunes_ends_it_the_next_time(
    tmp_path: Path, delay_s: float
) -> None:
    with Server(tmp_path / "data") as server:
        workflow_id = server.create(ECHO)
        ran_batch(server, workflow_id, 300)

        def ask() -> None:
            # A fast one has ended by then.
            with suppress(httpx.TransportError):
                httpx.post(f"{server.url}/prune/", json={"older_than_s": 0}, timeout=60, trust_env=False)

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(delay_s)
        server.kill()
        asking.join()
        server.start()
        kept = run(server, workflow_id, 7)
        for file in server.get("/of/"):
            assert server.http.get(f"/of/{file['id']}/download/").status_code == 200

        assert pruned(server)["runs"] <= 302
        assert server.get(f"/wf/{workflow_id}/runs/") == []
        server.get(f"/run/{kept['id']}/", status=404)
        assert files_in(tmp_path / "data") == ["datasets"]
        assert run(server, workflow_id, 8)["outputs"]["end"] == {"n": 8}


def test_runs_go_on_while_a_server_prunes(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server, ThreadPoolExecutor(4) as clients:
        workflow_id = server.create(ECHO)
        ran_batch(server, workflow_id, 300)
        pruning = clients.submit(pruned, server)
        made = list(clients.map(lambda n: run(server, workflow_id, n), range(100)))
        assert pruning.result()["runs"] >= 301
        assert [one["outputs"]["end"] for one in made] == [{"n": n} for n in range(100)]


def test_two_servers_prune_one_postgres_at_once(tmp_path: Path, postgres_url: str) -> None:
    with Cluster(tmp_path / "data", postgres_url) as cluster:
        cluster.add_worker()
        workflow_id = cluster.server.create(ECHO)
        ran_batch(cluster.server, workflow_id, 200)
        with (
            Server(tmp_path / "data", cluster._environment, ready=False) as other,
            ThreadPoolExecutor(2) as clients,
        ):
            told = list(clients.map(pruned, (cluster.server, other)))
        assert sum(one["runs"] for one in told) == 201
        assert sum(one["tasks"] for one in told) == 400
        assert sum(one["output_files"] for one in told) == 1
        assert cluster.server.get(f"/wf/{workflow_id}/runs/") == []
        assert files_in(tmp_path / "data") == ["datasets"]
