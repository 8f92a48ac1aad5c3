"""Live events over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES


def read(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """(number, kind, body) of each event of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(":", 1) for line in block.splitlines() if ":" in line and not line.startswith(":")
        )
        if "data" in fields:
            found.append((int(fields["id"]), fields["event"].strip(), json.loads(fields["data"])))
    return found


async def ended_run(api: Api) -> str:
    workflow = await api.create(HALVES)
    run = await api.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"n": 1}}})
    return str(run["id"])


async def test_a_run_tells_every_change_and_ends_with_its_end(api: Api) -> None:
    run_id = await ended_run(api)
    answer = await api.ask("GET", f"/run/{run_id}/events/")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = read(answer.text)
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    told = [(kind, body.get("node_id"), body["status"]) for _, kind, body in events]
    assert told == [
        ("run", None, "RUNNING"),
        ("task", "input_node", "COMPLETED"),
        ("task", "work", "RUNNING"),
        ("task", "work", "COMPLETED"),
        ("run", None, "COMPLETED"),
    ]


@pytest.mark.parametrize("after", [0, 1, 3, 5])
async def test_a_listener_that_comes_back_gets_exactly_what_it_missed(api: Api, after: int) -> None:
    run_id = await ended_run(api)
    answer = await api.ask("GET", f"/run/{run_id}/events/", headers={"last-event-id": str(after)})
    assert [number for number, _, _ in read(answer.text)] == list(range(after + 1, 6))


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 50])
async def test_a_number_that_is_none_is_refused(api: Api, after: str) -> None:
    run_id = await ended_run(api)
    answer = await api.ask("GET", f"/run/{run_id}/events/", headers={"last-event-id": after})
    assert answer.status_code == 422


async def test_a_run_that_is_not_there_has_no_events(api: Api) -> None:
    await api.get("/run/none/events/", status=404)


async def test_a_pause_and_its_answer_are_events(api: Api) -> None:
    workflow = await api.create(ASKS)
    run = (
        await api.post(f"/wf/{workflow}/run/", {"initial_inputs": {"input_node": {"amount": 1}}}, status=202)
    )["run"]
    await api.post(
        f"/wf/process_pause_action/{run['id']}/", {"action": "APPROVE", "user_id": "ann", "inputs": {}}
    )
    await api.wait_for(run["id"])
    events = read((await api.ask("GET", f"/run/{run['id']}/events/")).text)
    assert [(body["is_open"], body["user_id"]) for _, kind, body in events if kind == "pause"] == [
        (True, None),
        (False, "ann"),
    ]
