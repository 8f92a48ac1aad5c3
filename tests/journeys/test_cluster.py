"""A server and workers on a real Postgres, killed, stopped, drained and cut off."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support import postgres as servers
from tests.support.cluster import Cluster
from tests.support.postgres import Postgres
from tests.support.providers import Providers, Reply


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def cluster(tmp_path: Path, postgres_url: str, world: Providers) -> Iterator[Cluster]:
    environment = {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}
    with Cluster(tmp_path / "data", postgres_url, environment) as running:
        yield running


def calls(world: Providers) -> dict[str, Any]:
    """A workflow of two HTTP calls, the second one to /b."""
    return {
        "nodes": [
            {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "string"}}},
            {
                "id": "a",
                "node_type": "HTTPRequestNode",
                "config": {"method": "POST", "url": f"{world.url}/a"},
            },
            {
                "id": "b",
                "node_type": "HTTPRequestNode",
                "config": {"method": "POST", "url": f"{world.url}/b"},
            },
            {"id": "end", "node_type": "OutputNode", "config": {"output_map": {"n": "start.n"}}},
        ],
        "links": [
            {"source_id": "start", "target_id": "a"},
            {"source_id": "a", "target_id": "b"},
            {"source_id": "b", "target_id": "end"},
            {"source_id": "start", "target_id": "end"},
        ],
    }


def count(world: Providers, path: str) -> int:
    return sum(call.path == path for call in world.calls)


def wait_for_calls(world: Providers, path: str, times: int, patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if count(world, path) >= times:
            return
        world.received.wait(0.05)
        world.received.clear()
    raise AssertionError(f"{path} was called {count(world, path)} times, not {times}")


def tries(world: Providers) -> Counter[str]:
    """How often each task called, by its id."""
    return Counter(call.headers["idempotency-key"] for call in world.calls)


def dataset(cluster: Cluster, rows: int) -> str:
    return cluster.server.upload("rows.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(rows)))


def numbers(cluster: Cluster, run: Any) -> list[int]:
    text = cluster.server.http.get(f"/of/{run['output_file_id']}/download/").text
    return [int(json.loads(line)["end"]["n"]) for line in text.splitlines()]


def test_a_killed_workers_run_goes_on_elsewhere_and_repeats_only_what_was_under_way(
    cluster: Cluster, world: Providers
) -> None:
    world.on("/b", world.held(Reply(json={})))
    first = cluster.add_worker()
    workflow = cluster.server.create(calls(world))
    run = cluster.server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"start": {"n": "1"}}})
    wait_for_calls(world, "/b", 1)
    cluster.add_worker()
    first.kill()
    world.released.set()

    ended = cluster.server.wait_for(run["id"])

    assert ended["status"] == "COMPLETED"
    assert (count(world, "/a"), count(world, "/b")) == (1, 2)


def test_a_worker_that_stood_still_writes_nothing_over_the_one_that_took_its_runs(
    cluster: Cluster, world: Providers
) -> None:
    world.on("/b", world.held(Reply(json={"from": "the first"})))
    first = cluster.add_worker()
    workflow = cluster.server.create(calls(world))
    run = cluster.server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"start": {"n": "1"}}})
    batch = cluster.server.post(
        f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset(cluster, 12), "mini_batch_size": 4}
    )
    wait_for_calls(world, "/b", 5)
    first.stop()
    cluster.add_worker()
    wait_for_calls(world, "/b", 10)
    world.released.set()
    ends = [cluster.server.wait_for(started["id"]) for started in (run, batch)]
    shown = [cluster.server.get(f"/run/{started['id']}/tasks/") for started in (run, batch)]

    first.go_on()
    later = cluster.server.post(f"/wf/{workflow}/run/", {"initial_inputs": {"start": {"n": "2"}}})

    assert later["end"] == {"n": "2"}
    assert [ended["status"] for ended in ends] == ["COMPLETED", "COMPLETED"]
    assert [cluster.server.get(f"/run/{started['id']}/") for started in (run, batch)] == ends
    assert [cluster.server.get(f"/run/{started['id']}/tasks/") for started in (run, batch)] == shown
    assert numbers(cluster, ends[1]) == list(range(12))
    assert max(tries(world).values()) <= 2


def test_ten_kills_in_the_middle_of_a_batch_leave_every_row_once_and_in_order(
    cluster: Cluster, world: Providers
) -> None:
    workers = [cluster.add_worker("--batch-concurrency", "4") for _ in range(3)]
    workflow = cluster.server.create(calls(world))
    batch = cluster.server.post(
        f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset(cluster, 400), "mini_batch_size": 12}
    )
    for kill in range(10):
        wait_for_calls(world, "/b", 20 + 30 * kill, patience_s=40)
        workers[kill % 3].kill()
        workers[kill % 3] = cluster.add_worker("--batch-concurrency", "4")

    ended = cluster.server.wait_for(batch["id"], patience_s=60)

    assert ended["message"] == "400 of 400 rows completed."
    assert numbers(cluster, ended) == list(range(400))
    assert max(tries(world).values()) <= 4


def test_a_terminated_worker_hands_its_runs_on_at_once(cluster: Cluster, world: Providers) -> None:
    world.on("/a", world.held(Reply(json={})))
    first = cluster.add_worker()
    workflow = cluster.server.create(calls(world))
    batch = cluster.server.post(
        f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset(cluster, 30), "mini_batch_size": 6}
    )
    run = cluster.server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"start": {"n": "1"}}})
    wait_for_calls(world, "/a", 7)
    cluster.add_worker()
    with ThreadPoolExecutor() as pool:
        ending = pool.submit(first.terminate)
        time.sleep(0.5)
        world.released.set()
        assert ending.result() == 0

    ends = [cluster.server.wait_for(started["id"]) for started in (run, batch)]

    assert [ended["status"] for ended in ends] == ["COMPLETED", "COMPLETED"]
    assert numbers(cluster, ends[1]) == list(range(30))
    assert set(tries(world).values()) == {1}


def test_a_cancel_interrupts_the_task_in_the_worker_within_two_seconds(
    tmp_path: Path, postgres_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Cluster(tmp_path / "data", postgres_url, {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{port}"}) as cluster:
            cluster.add_worker()
            node = {"id": "a", "node_type": "HTTPRequestNode", "config": {"url": f"http://127.0.0.1:{port}/"}}
            start = {"id": "start", "node_type": "InputNode", "config": {}}
            definition = {"nodes": [start, node], "links": [{"source_id": "start", "target_id": "a"}]}
            run = cluster.server.post(f"/wf/{cluster.server.create(definition)}/start_run/")
            listener.settimeout(20)
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(10_000).startswith(b"GET")

                cluster.server.post(f"/wf/cancel_workflow/{run['id']}/")

                connection.settimeout(2)
                assert connection.recv(1) == b""
            assert cluster.server.get(f"/run/{run['id']}/")["status"] == "CANCELED"


def test_restarts_of_postgres_lose_nothing_and_need_no_restart_of_ours(
    tmp_path: Path, postgres: Postgres, world: Providers
) -> None:
    binaries = servers.programs()
    assert binaries is not None
    with servers.server(binaries) as own, own.database() as url:
        environment = {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}
        with Cluster(tmp_path / "data", url, environment) as cluster:
            for _ in range(2):
                cluster.add_worker("--batch-concurrency", "4")
            workflow = cluster.server.create(calls(world))
            batch = cluster.server.post(
                f"/wf/{workflow}/start_batch_run/",
                {"dataset_id": dataset(cluster, 200), "mini_batch_size": 8},
            )
            started: list[str] = []
            for restart in range(3):
                wait_for_calls(world, "/b", 20 + 50 * restart, patience_s=40)
                started += start_some(cluster, workflow, 5)
                own.restart("immediate" if restart % 2 == 0 else "fast")
            started += start_some(cluster, workflow, 5)
            ended = cluster.server.wait_for(batch["id"], patience_s=60)

            assert numbers(cluster, ended) == list(range(200))
            assert {cluster.server.wait_for(run_id)["status"] for run_id in started} == {"COMPLETED"}
            assert all(worker.is_alive for worker in cluster.workers)
            assert max(tries(world).values()) <= 4


def start_some(cluster: Cluster, workflow: str, times: int) -> list[str]:
    """Start runs until so many were accepted; the store may refuse meanwhile, with 503 and nothing else."""
    accepted: list[str] = []
    while len(accepted) < times:
        answer = cluster.server.http.post(
            f"/wf/{workflow}/start_run/", json={"initial_inputs": {"start": {"n": "1"}}}
        )
        assert answer.status_code in {200, 503}, answer.text
        if answer.status_code == 200:
            accepted.append(answer.json()["id"])
        else:
            assert "retry-after" in answer.headers
            time.sleep(0.2)
    return accepted
