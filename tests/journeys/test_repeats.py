"""A server dies between doing what it was asked and saying so, and is asked again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from rowel import Client
from tests.support.server import Server
from tests.support.workflows import ASKS, HALVES

BODY = {"initial_inputs": {"input_node": {"n": 4}}}
ACTION = {"action": "APPROVE", "user_id": "ann", "inputs": {"ok": True}, "comments": "Fine."}
#: The moments around the next commit of a server.
LANDED, LOST = "commit.after:1:kill", "commit.before:1:kill"


class Mortal(Server):
    """A server that can be started so that it kills itself at its next commit."""

    def start_to_die(self, moment: str) -> None:
        self._environment["ROWEL_FAULTS"] = moment
        self.start()
        del self._environment["ROWEL_FAULTS"]

    def await_death(self) -> None:
        assert self._process is not None
        self._process.communicate(timeout=30)
        self._process = None

    def count_runs(self) -> int:
        """All runs, without rows of batches."""
        found = [*self.get("/run/?limit=100"), *self.get("/run/?run_type=partial")]
        return sum(run["row_index"] is None for run in found)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mortal]:
    mortal = Mortal(tmp_path / "data")
    with mortal:
        yield mortal


def ask(server: Server, path: str, body: Any, key: str = "k") -> httpx.Response:
    return server.http.post(path, json=body, headers={"Idempotency-Key": key})


def prepared(server: Server, name: str) -> tuple[str, Any]:
    """A request, after which its workflow's version is written."""
    workflow = server.create(HALVES)
    ended = server.post(f"/wf/{workflow}/runv2/", BODY)
    if name == "process_pause_action":
        body = {"initial_inputs": {"input_node": {"amount": 3}}}
        run = server.post(f"/wf/{server.create(ASKS)}/runv2/", body, status=202)["run"]
        return f"/wf/process_pause_action/{run['id']}/", ACTION
    if name == "decide":
        rows = server.upload("asking.csv", b"amount\n1\n2\n3\n")
        batch = server.post(f"/wf/{server.create(ASKS)}/start_batch_run/", {"dataset_id": rows})
        server.wait_for(batch["id"], "PAUSED")
        return f"/run/{batch['id']}/batch/decide/", {**ACTION, "node_id": "ask"}
    if name == "start_batch_run":
        return f"/wf/{workflow}/start_batch_run/", {"dataset_id": server.upload("rows.csv", b"n\n1\n2\n")}
    if name == "rerun":
        return f"/run/{ended['id']}/rerun/", {"from_nodes": ["work"]}
    return f"/wf/{workflow}/{name}/", {**BODY, "node_id": "work"} if name == "run_partial" else BODY


NAMES = ["run", "runv2", "start_run", "run_partial", "start_batch_run", "process_pause_action", "rerun"]
#: A decision about rows is begun with the first commit; with the second some rows are decided.
DECIDED = "commit.after:2:kill"
CUTS = [*((name, LANDED) for name in NAMES), ("run", LOST), ("start_run", LOST), ("decide", DECIDED)]


@pytest.mark.parametrize(("name", "moment"), CUTS)
def test_a_server_that_is_killed_before_it_answers_gives_the_answer_when_it_is_asked_again(
    server: Mortal, name: str, moment: str
) -> None:
    path, body = prepared(server, name)
    before = server.count_runs()
    server.terminate()
    server.start_to_die(moment)
    with pytest.raises(httpx.TransportError):
        ask(server, path, body)
    server.await_death()
    server.start()

    answer = until_answered(server, path, body)
    again = ask(server, path, body)

    assert answer.status_code == 200, answer.text
    assert ("idempotent-replayed" in answer.headers) is (moment == LANDED)
    assert (again.content, again.headers["idempotent-replayed"]) == (answer.content, "true")
    assert server.count_runs() - before == (0 if name in ("process_pause_action", "decide") else 1)
    told = answer.json()
    if name == "decide":
        assert told == {"decided": 3, "refused": 0, "refusals": []}
    if name in ("start_run", "start_batch_run", "rerun"):
        assert told["status"] == "PENDING"
        assert server.wait_for(told["id"])["status"] == "COMPLETED"
    if name == "process_pause_action":
        assert (told["status"], told["message"]) == ("RUNNING", "Node 'ask' was approved by ann: Fine.")
        assert server.wait_for(told["id"])["outputs"]["paid"] == {"paid": True}
        assert len(server.get(f"/wf/pause_history/{told['id']}/")) == 1


def until_answered(server: Server, path: str, body: Any) -> httpx.Response:
    """Ask as often as the server says that it is still being worked on."""
    for _ in range(100):
        answer = ask(server, path, body)
        if answer.status_code != 409 or answer.json()["code"] != "in_progress":
            return answer
        assert answer.headers["retry-after"] == "1"
        server.wait_for(answer.json()["detail"].partition("run ")[2].partition(" ")[0])
    raise AssertionError("it is never answered")


def test_the_client_needs_to_know_nothing_of_the_kill(server: Mortal) -> None:
    workflow = server.create(HALVES)
    server.post(f"/wf/{workflow}/run/", BODY)
    server.terminate()
    server.start_to_die(LANDED)

    with Client(server.url) as client, ThreadPoolExecutor(1) as caller:
        calling = caller.submit(client.run, workflow, BODY["initial_inputs"], idempotency_key="k")
        server.await_death()
        server.start()
        outputs = calling.result(timeout=60)

    assert outputs["work"] == {"half": 2.0}
    assert server.count_runs() == 2


def test_of_many_clients_that_ask_while_the_server_is_killed_one_starts_the_run(server: Mortal) -> None:
    workflow = server.create(HALVES)
    server.post(f"/wf/{workflow}/run/", BODY)
    server.terminate()
    server.start_to_die("commit.after:2:kill")

    def start(number: int) -> str:
        with Client(server.url) as client:
            return client.start(workflow, BODY["initial_inputs"], idempotency_key=f"k{number % 3}").id

    with ThreadPoolExecutor(12) as callers:
        calls = [callers.submit(start, number) for number in range(12)]
        server.await_death()
        server.start()
        ids = [call.result(timeout=60) for call in calls]

    assert [len({ids[number] for number in range(place, 12, 3)}) for place in range(3)] == [1, 1, 1]
    assert server.count_runs() == 4
    for run_id in set(ids):
        assert server.wait_for(run_id)["status"] == "COMPLETED"
