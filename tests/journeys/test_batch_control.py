"""A batch with rows that fail for several reasons, killed on its way, and run again by one reason."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.providers import Providers
from tests.support.server import Server

ROWS = 200
COUNTS = ("queued", "running", "completed", "failed", "canceled", "paused")
ODD = {n for n in range(ROWS) if n % 20 == 1}
LATE = {n for n in range(ROWS) if n % 25 == 7}
GONE = {n for n in range(ROWS) if n % 40 == 15}
CODE = """
n = input_model.input_node.n
if n % 20 == 1:
    raise ValueError(f'{n} is too odd')
if n % 25 == 7:
    raise RuntimeError(f'row{n} came {n * 2} s too late')
if n % 40 == 15:
    raise KeyError(f'cus_{n}')
return {'n': n}
"""
BETTER = "return {'n': -input_model.input_node.n}"


@pytest.fixture
def world() -> Iterator[Providers]:
    """The service that each row calls; it remembers every call."""
    with Providers() as providers:
        yield providers


@pytest.fixture
def server(tmp_path: Path, world: Providers) -> Iterator[Server]:
    with Server(tmp_path / "data", {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as running:
        yield running


def definition(world: Providers, code: str) -> dict[str, Any]:
    call = {"method": "POST", "url": f"{world.url}/call", "body": {"n": "{{input_node.n}}"}}
    return {
        "nodes": [
            {"id": "input_node", "node_type": "InputNode", "config": {"output_schema": {"n": "int"}}},
            {"id": "call", "node_type": "HTTPRequestNode", "config": call},
            {"id": "work", "node_type": "PythonFuncNode", "config": {"code": code}},
        ],
        "links": [
            {"source_id": "input_node", "target_id": "call"},
            {"source_id": "input_node", "target_id": "work"},
            {"source_id": "call", "target_id": "work"},
        ],
    }


def look(server: Server, run_id: str) -> dict[str, Any]:
    """How the batch stands; its counts add up."""
    found: dict[str, Any] = server.get(f"/run/{run_id}/batch/")
    assert sum(found[name] for name in COUNTS) == found["total"], found
    assert all(found[name] >= 0 for name in COUNTS), found
    assert sum(cause["count"] for cause in found["causes"]) == found["failed"], found
    return found


def look_until(server: Server, world: Providers, run_id: str, calls: int) -> list[dict[str, Any]]:
    looks = []
    end = time.monotonic() + 60
    while len(world.calls) < calls and time.monotonic() < end:
        looks.append(look(server, run_id))
    return looks


def lines_of(server: Server, run: dict[str, Any]) -> list[str]:
    return list(server.http.get(f"/of/{run['output_file_id']}/download/").text.splitlines())


def test_a_batch_that_fails_for_three_reasons_is_killed_and_run_again_by_one_of_them(
    server: Server, world: Providers
) -> None:
    workflow = server.create(definition(world, CODE))
    dataset = server.upload("rows.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(ROWS)))
    wish = {"dataset_id": dataset, "mini_batch_size": 8}
    batch = server.post(f"/wf/{workflow}/start_batch_run/", wish)
    looks = []
    for calls in (50, 120):
        looks += look_until(server, world, batch["id"], calls)
        server.kill()
        server.start()
    looks += look_until(server, world, batch["id"], ROWS)
    ended = server.wait_for(batch["id"], patience_s=60)
    looks.append(look(server, batch["id"]))

    failed = ODD | LATE | GONE
    settled = [one["completed"] + one["failed"] for one in looks]
    assert settled == sorted(settled)
    assert ended["message"] == f"{ROWS - len(failed)} of {ROWS} rows completed, {len(failed)} failed."
    causes = {cause["count"]: cause for cause in looks[-1]["causes"]}
    assert sorted(cause["count"] for cause in looks[-1]["causes"]) == sorted(
        len(rows) for rows in (ODD, LATE - ODD, GONE - ODD - LATE)
    )
    odd = causes[len(ODD)]
    assert odd["signature"].endswith("# is too odd")
    assert odd["example_row"] in ODD
    before = lines_of(server, ended)

    saved = {"name": "better", "definition": definition(world, BETTER)}
    server.http.put(f"/wf/{workflow}/", json=saved).raise_for_status()
    world.forget()
    again = server.post(
        f"/run/{batch['id']}/batch/redrive/", {"rows": {"cause": odd["signature"]}, "version": "latest"}
    )
    look_until(server, world, again["id"], 3)
    server.kill()
    server.start()
    done = server.wait_for(again["id"], patience_s=60)

    assert (done["status"], done["redrive_of"]) == ("COMPLETED", batch["id"])
    assert look(server, again["id"])["total"] == len(ODD)
    rows = server.get(f"/wf/{workflow}/runs/?parent_run_id={again['id']}&page_size=100")
    assert {row["row_index"] for row in rows} == ODD
    assert {json.loads(call.body)["n"] for call in world.calls} == {str(n) for n in ODD}
    after = lines_of(server, done)
    assert len(after) == ROWS
    for n, (old, new) in enumerate(zip(before, after, strict=True)):
        if n in ODD:
            assert json.loads(new)["work"] == {"n": -n}
        else:
            assert new == old
    assert lines_of(server, server.get(f"/run/{batch['id']}/")) == before
