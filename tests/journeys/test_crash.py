"""A real server is killed in the middle of its work and started again."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.providers import Call, Providers, Reply
from tests.support.server import Server, free_port


@pytest.fixture
def world() -> Iterator[Providers]:
    """The services that workflows call; they remember every call."""
    with Providers() as providers:
        yield providers


@pytest.fixture
def server(tmp_path: Path, world: Providers) -> Iterator[Server]:
    with Server(tmp_path / "data", {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as running:
        yield running


def chain(world: Providers, *names: str) -> dict[str, Any]:
    """An input node and then one HTTP call after another, each to a path of its own."""
    nodes: list[dict[str, Any]] = [
        {"id": "input_node", "node_type": "InputNode", "config": {"output_schema": {"n": "string"}}}
    ]
    nodes += [
        {
            "id": name,
            "node_type": "HTTPRequestNode",
            "config": {
                "method": "POST",
                "url": f"{world.url}/{name}",
                "body": {"n": "{{input_node.n}}"} if name == names[0] else None,
            },
        }
        for name in names
    ]
    ids = [node["id"] for node in nodes]
    links = [{"source_id": source, "target_id": target} for source, target in pairwise(ids)]
    return {"nodes": nodes, "links": links}


def calls_to(world: Providers, name: str) -> list[Call]:
    return [call for call in world.calls if call.path == f"/{name}"]


def wait_for_call(world: Providers, name: str, count: int = 1, patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if len(calls_to(world, name)) >= count:
            return
        world.received.wait(0.05)
        world.received.clear()
    raise AssertionError(f"{name} was called {len(calls_to(world, name))} times, not {count}")


def tries(world: Providers) -> Counter[str]:
    """How often each task called, by its id."""
    return Counter(call.headers["idempotency-key"] for call in world.calls)


def held(world: Providers, name: str) -> None:
    world.on(f"/{name}", world.held(Reply(json={"ok": True})))


def test_a_run_that_a_kill_interrupted_goes_on_and_repeats_nothing_that_was_done(
    server: Server, world: Providers
) -> None:
    held(world, "b")
    workflow = server.create(chain(world, "a", "b", "c"))
    run = server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"input_node": {"n": "1"}}})
    wait_for_call(world, "b")
    before = {task["node_id"]: task for task in server.get(f"/run/{run['id']}/tasks/")}
    assert before["a"]["status"] == "COMPLETED"
    server.kill()
    world.released.set()
    server.start()
    ended = server.wait_for(run["id"])
    assert ended["status"] == "COMPLETED"
    assert len(calls_to(world, "a")) == 1
    assert len(calls_to(world, "b")) == 2
    assert len(calls_to(world, "c")) == 1
    keys = {call.headers["idempotency-key"] for call in calls_to(world, "b")}
    assert keys == {f"{run['id']}.b"}
    after = {task["node_id"]: task for task in ended["tasks"]}
    assert after["a"] == before["a"]
    assert ended["start_time"] == run["start_time"]


def test_a_batch_that_kills_interrupted_has_each_row_once(server: Server, world: Providers) -> None:
    workflow = server.create(chain(world, "a", "b"))
    dataset = server.upload("rows.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(200)))
    batch = server.post(f"/wf/{workflow}/start_batch_run/", {"dataset_id": dataset, "mini_batch_size": 8})
    shown: dict[str, int] = {}
    for share in (30, 90, 150):
        wait_for_call(world, "b", share)
        for row in server.get(f"/wf/{workflow}/runs/?page_size=100&run_type=batch"):
            for task in row["tasks"]:
                if task["status"] == "COMPLETED":
                    shown.setdefault(task["id"], tries(world)[task["id"]])
        server.kill()
        server.start()
    ended = server.wait_for(batch["id"], patience_s=60)
    assert (ended["status"], ended["percentage_complete"]) == ("COMPLETED", 100.0)
    lines = server.http.get(f"/of/{ended['output_file_id']}/download/").text.splitlines()
    outputs = [json.loads(line) for line in lines]
    assert [row["input_node"]["n"] for row in outputs] == [str(n) for n in range(200)]
    counted = tries(world)
    assert len(shown) > 100
    assert {task_id: counted[task_id] for task_id in shown} == shown
    assert max(counted.values()) <= 4


def test_a_pause_survives_a_kill_and_so_does_its_answer(server: Server) -> None:
    definition = {
        "nodes": [
            {"id": "input_node", "node_type": "InputNode", "config": {}},
            {"id": "ask", "node_type": "HumanInterventionNode", "config": {"message": "Pay?"}},
            {"id": "paid", "node_type": "StaticValueNode", "config": {"values": {"paid": True}}},
        ],
        "links": [
            {"source_id": "input_node", "target_id": "ask"},
            {"source_id": "ask", "target_id": "paid"},
        ],
    }
    workflow = server.create(definition)
    run = server.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"x": 1}}}, status=202)
    run_id = run["run"]["id"]
    before = server.get(f"/wf/pause_history/{run_id}/")
    server.kill()
    server.start()
    assert server.get(f"/run/{run_id}/")["status"] == "PAUSED"
    assert server.get(f"/wf/pause_history/{run_id}/") == before
    server.post(
        f"/wf/process_pause_action/{run_id}/",
        {"inputs": {"ok": True}, "user_id": "ann", "action": "APPROVE", "comments": "fine"},
    )
    server.kill()
    server.start()
    ended = server.wait_for(run_id)
    assert ended["status"] == "COMPLETED"
    assert ended["outputs"]["paid"] == {"paid": True}
    (answered,) = server.get(f"/wf/pause_history/{run_id}/")
    assert (answered["resume_user_id"], answered["resume_action"], answered["comments"]) == (
        "ann",
        "APPROVE",
        "fine",
    )


def test_a_cancel_interrupts_a_long_node_and_stays(server: Server, world: Providers) -> None:
    held(world, "a")
    workflow = server.create(chain(world, "a", "b"))
    run = server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"input_node": {"n": "1"}}})
    wait_for_call(world, "a")
    began = time.monotonic()
    canceled = server.post(f"/wf/cancel_workflow/{run['id']}/")
    assert canceled["status"] == "CANCELED"
    assert time.monotonic() - began < 5
    world.released.set()
    server.kill()
    server.start()
    assert server.get(f"/run/{run['id']}/")["status"] == "CANCELED"
    assert {task["status"] for task in server.get(f"/run/{run['id']}/tasks/")} == {"COMPLETED", "CANCELED"}
    assert calls_to(world, "b") == []


def test_sixteen_clients_start_five_hundred_runs_and_all_of_them_end(server: Server) -> None:
    definition = {
        "nodes": [
            {"id": "input_node", "node_type": "InputNode", "config": {}},
            {"id": "sum", "node_type": "PythonFuncNode", "config": {"code": "return {'ok': True}"}},
        ],
        "links": [{"source_id": "input_node", "target_id": "sum"}],
    }
    workflow = server.create(definition)

    def start(number: int) -> str:
        answer = httpx.post(
            f"{server.url}/wf/{workflow}/start_run/",
            json={"initial_inputs": {"input_node": {"number": number}}},
            timeout=60,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] in {"PENDING", "RUNNING"}
        return str(answer.json()["id"])

    with ThreadPoolExecutor(16) as clients:
        ids = list(clients.map(start, range(500)))
    assert len(set(ids)) == 500
    for run_id in ids:
        assert server.wait_for(run_id)["status"] == "COMPLETED"


def test_a_second_server_on_the_same_data_names_the_first_and_refuses(server: Server) -> None:
    second = server.spawn(port=free_port())
    output = second.communicate(timeout=30)[0].decode()
    assert second.returncode != 0
    assert server.url in output
    assert "Traceback" not in output
    assert server.get("/health/ready")


def test_sigterm_lets_running_tasks_end_and_keeps_the_rest(server: Server, world: Providers) -> None:
    world.on("/a", Reply(json={"ok": True}, delay_s=1.0))
    workflow = server.create(chain(world, "a", "b"))
    run = server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"input_node": {"n": "1"}}})
    wait_for_call(world, "a")
    assert server.terminate() in {0, -signal.SIGTERM}
    assert len(calls_to(world, "b")) == 0
    server.start()
    assert server.wait_for(run["id"])["status"] == "COMPLETED"
    assert (len(calls_to(world, "a")), len(calls_to(world, "b"))) == (1, 1)


def test_events_go_on_where_they_stopped_also_after_a_restart(server: Server, world: Providers) -> None:
    held(world, "b")
    workflow = server.create(chain(world, "a", "b"))
    run = server.post(f"/wf/{workflow}/start_run/", {"initial_inputs": {"input_node": {"n": "1"}}})
    wait_for_call(world, "b")
    with server.http.stream("GET", f"/run/{run['id']}/events/") as stream:
        seen = next(int(line[3:]) for line in stream.iter_lines() if line.startswith("id:"))
    server.kill()
    world.released.set()
    server.start()
    server.wait_for(run["id"])
    answer = server.http.get(f"/run/{run['id']}/events/", headers={"Last-Event-ID": str(seen)})
    numbers = [int(line[3:]) for line in answer.text.splitlines() if line.startswith("id:")]
    assert numbers == list(range(seen + 1, numbers[-1] + 1))
    assert '"COMPLETED"' in answer.text.strip().splitlines()[-1]


def test_a_run_that_kills_its_server_each_time_is_given_up_and_harms_no_other(
    tmp_path: Path, world: Providers
) -> None:
    settings = {
        "ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}",
        "ROWEL_MAX_RECOVERIES": "2",
        "ROWEL_RECOVERY_EACH_S": "0.1",
    }
    server = Server(tmp_path / "data", settings)
    held(world, "slow")

    def kill_both(_: Call) -> None:
        wait_for_call(world, "slow", len(calls_to(world, "boom")))
        server.stab()

    world.on("/boom", kill_both)
    asks = {
        "nodes": [
            {"id": "input_node", "node_type": "InputNode", "config": {}},
            {"id": "ask", "node_type": "HumanInterventionNode", "config": {}},
        ],
        "links": [{"source_id": "input_node", "target_id": "ask"}],
    }
    inputs = {"initial_inputs": {"input_node": {"n": "1"}}}
    with server:
        paused = server.post(f"/wf/{server.create(asks)}/runv2/", inputs, status=202)["run"]["id"]
        slow = server.post(f"/wf/{server.create(chain(world, 'slow'))}/start_run/", inputs)["id"]
        wait_for_call(world, "slow")
        boom = server.create(chain(world, "boom"))
        # The answer may be lost with the server.
        with suppress(httpx.TransportError):
            server.http.post(f"/wf/{boom}/start_run/", json=inputs)
        for life in (1, 2):
            server.await_end()
            assert len(calls_to(world, "boom")) == life
            server.start(fully=False)
        # Both were under way each time. Now they go one at a time, the older one first.
        wait_for_call(world, "slow", 3)
        time.sleep(0.3)
        assert len(calls_to(world, "boom")) == 2
        world.released.set()
        server.await_end()
        server.start()

        (given_up,) = server.get(f"/wf/{boom}/runs/")
        assert server.wait_for(given_up["id"])["status"] == "FAILED"
        assert "2 times" in server.get(f"/run/{given_up['id']}/")["message"]
        assert server.get(f"/run/{slow}/")["status"] == "COMPLETED"
        assert server.get(f"/run/{paused}/")["status"] == "PAUSED"
        assert (len(calls_to(world, "boom")), len(calls_to(world, "slow"))) == (3, 3)
