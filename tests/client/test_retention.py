"""Retention through both clients, and in the process."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from rowel import AsyncClient, Client, Rowel
from rowel.client import NotFound
from tests.support.server import Server
from tests.support.workflows import HALVES

NOW = timedelta(0)


def answers() -> httpx.MockTransport:
    """A server that needs three calls."""
    steps = iter([(5, False), (4, False), (1, True)])

    def answer(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content) == {"older_than_s": 2592000.0, "dry_run": False}
        runs, is_complete = next(steps)
        told = {"runs": runs, "tasks": 2 * runs, "events": 0, "output_files": 0, "orphans": 0, "bytes": 0}
        return httpx.Response(200, json={**told, "is_complete": is_complete})

    return httpx.MockTransport(answer)


def test_a_client_asks_until_nothing_is_left() -> None:
    with Client(transport=answers()) as client:
        done = client.prune(timedelta(days=30))
    assert (done.runs, done.tasks, done.is_complete) == (10, 20, True)


async def test_an_async_client_does_too() -> None:
    async with AsyncClient(transport=answers()) as client:
        done = await client.prune(timedelta(days=30))
    assert (done.runs, done.tasks, done.is_complete) == (10, 20, True)


def test_old_runs_go_over_http(server: Server, client: Client) -> None:
    workflow = client.workflows.create("halves", HALVES)
    run = client.start(workflow.id, {"input_node": {"n": 4}}).wait()
    assert client.prune(timedelta(days=1)).runs == 0
    would = client.prune(NOW, dry_run=True)
    assert client.get_run(run.id).id == run.id
    done = client.prune(NOW)
    assert done.runs == would.runs > 0
    with pytest.raises(NotFound):
        client.get_run(run.id)


async def test_old_runs_go_in_the_process(tmp_path: Path) -> None:
    async with Rowel(tmp_path / "data", environment={}) as rowel:
        workflow = await rowel.workflows.create("halves", HALVES)
        await rowel.run(workflow.id, {"input_node": {"n": 4}})
        would = await rowel.prune(NOW, dry_run=True)
        done = await rowel.prune(NOW)
    assert (would.runs, done.runs, done.tasks, done.is_complete) == (1, 1, 2, True)
