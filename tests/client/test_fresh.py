"""Clients, the embedded engine and their wish for everything to be done anew."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import httpx
import pytest

from rowel import AsyncClient, Client, Rowel
from tests.support.workflows import HALVES

RUN = {"id": "r", "workflow_id": "w", "status": "PENDING", "start_time": "2026-01-02T03:04:05+00:00"}
STARTS = ("run", "start", "run_partial", "rerun", "batch", "redrive")
ARGUMENTS: dict[str, tuple[Any, ...]] = {"run_partial": ("w", "n"), "batch": ("w", "d")}


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("fresh", [True, False])
def test_every_start_says_so_in_its_query(name: str, fresh: bool) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={} if name in ("run", "run_partial") else RUN)

    with Client("http://rowel", transport=httpx.MockTransport(answer)) as client:
        getattr(client, name)(*ARGUMENTS.get(name, ("w",)), fresh=fresh)

    assert asked[0].url.params.get("fresh") == ("true" if fresh else None)


@pytest.mark.parametrize("name", STARTS)
def test_all_three_take_it(name: str) -> None:
    for kind in (Client, AsyncClient, Rowel):
        assert inspect.signature(getattr(kind, name)).parameters["fresh"].default is False


async def test_the_embedded_engine_does_it(tmp_path: Path) -> None:
    first, work = HALVES["nodes"]
    definition = {**HALVES, "nodes": [first, {**work, "config": {**work["config"], "cache_s": 60}}]}
    inputs = {"input_node": {"n": 4}}
    async with Rowel(tmp_path) as rowel:
        workflow = await rowel.workflows.create("halves", definition)
        found = []
        for fresh in (False, False, True):
            live = await rowel.start(workflow.id, inputs, fresh=fresh)
            run = await live.wait()
            found.append(next(task.cached for task in run.tasks if task.node_id == "work"))

    assert found == [False, True, False]
