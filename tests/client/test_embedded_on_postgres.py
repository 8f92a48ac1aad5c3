"""Rowel in the process on a Postgres: one of many, which executes what it starts and what others leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rowel import Rowel
from tests.support.definitions import link


def doubling() -> dict[str, Any]:
    nodes = [
        {"id": "start", "node_type": "InputNode", "config": {"output_schema": {"n": "int"}}},
        {
            "id": "twice",
            "node_type": "PythonFuncNode",
            "config": {"code": "return {'n': input_model.start.n * 2}"},
        },
        {"id": "end", "node_type": "OutputNode", "config": {"output_map": {"n": "twice.n"}}},
    ]
    return {"nodes": nodes, "links": [link("start", "twice"), link("twice", "end")]}


def asking() -> dict[str, Any]:
    nodes = [
        {"id": "start", "node_type": "InputNode", "config": {}},
        {"id": "ask", "node_type": "HumanInterventionNode", "config": {}},
    ]
    return {"nodes": nodes, "links": [link("start", "ask")]}


async def test_it_executes_what_it_starts(postgres_url: str, tmp_path: Path) -> None:
    async with Rowel(postgres_url, data=tmp_path / "data") as rowel:
        workflow = await rowel.workflows.create("doubling", doubling())
        assert (await rowel.run(workflow.id, {"start": {"n": 4}}))["end"] == {"n": 8}
        (tmp_path / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(30)))
        batch = await rowel.batch(workflow.id, tmp_path / "rows.csv", mini_batch_size=5)
        assert (await batch.wait()).message == "30 of 30 rows completed."


async def test_two_share_the_work_and_see_each_others_runs(postgres_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with Rowel(postgres_url, data=data) as first, Rowel(postgres_url, data=data) as second:
        workflow = await first.workflows.create("doubling", doubling())
        ends = await asyncio.gather(
            *((first, second)[n % 2].run(workflow.id, {"start": {"n": n}}) for n in range(10))
        )
        assert [end["end"]["n"] for end in ends] == [2 * n for n in range(10)]
        assert len(await second.runs(workflow.id)) == 10


async def test_a_run_that_waits_is_answered_by_another_one_later(postgres_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with Rowel(postgres_url, data=data) as first:
        workflow = await first.workflows.create("asking", asking())
        run = await first.start(workflow.id)
        async with asyncio.timeout(20):
            async for event in run.events():
                if event.kind == "run" and event.body["status"] == "PAUSED":
                    break
    async with Rowel(postgres_url, data=data) as second:
        await second.decide(run.id, "APPROVE", user_id="ann")
        async with asyncio.timeout(20):
            assert (await second.attach(await second.get_run(run.id)).wait()).status == "COMPLETED"
