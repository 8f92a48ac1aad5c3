"""The asyncio client, where it differs in more than `await`: many at once, streams, what breaks midway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowel import AsyncClient, RunFailed, RunPaused
from rowel.client import Conflict, ConnectionLost, InvalidRequest, NotFound, RunCanceled, Status, StillRunning
from tests.support.providers import Providers, Reply
from tests.support.server import Server, free_port
from tests.support.workflows import ASKS, HALVES, LOOPS, waits


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url) as connected:
        yield connected


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"n": n % 5}) for n in range(20)))
    return file


async def test_many_runs_go_side_by_side(client: AsyncClient) -> None:
    workflow = await client.workflows.create("halves", HALVES)
    outputs = await asyncio.gather(*[client.run(workflow.id, {"input_node": {"n": n}}) for n in range(1, 31)])
    assert [found["work"]["half"] for found in outputs] == [n / 2 for n in range(1, 31)]


async def test_failed_paused_and_declined_runs_are_errors_of_their_own(client: AsyncClient) -> None:
    halves = await client.workflows.create("halves", HALVES)
    asks = await client.workflows.create("asks", ASKS)
    with pytest.raises(RunFailed, match="zero"):
        await client.run(halves.id, {"input_node": {"n": 0}})
    with pytest.raises(RunPaused) as raised:
        await client.run(asks.id, {"input_node": {"amount": 1}})
    live = await client.attach(raised.value.run.id)
    await live.decide("DECLINE", user_id="bob", comments="no budget")
    with pytest.raises(RunCanceled, match="declined by bob: no budget"):
        await live.outputs()


async def test_of_many_answers_one_wins(client: AsyncClient) -> None:
    workflow = await client.workflows.create("asks", ASKS)
    live = await client.start(workflow.id, {"input_node": {"amount": 1}})
    await live.wait()
    answers = await asyncio.gather(
        *[client.decide(live.id, "APPROVE", user_id=f"u{n}") for n in range(10)], return_exceptions=True
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 9
    assert (await live.wait()).status is Status.COMPLETED
    assert len(await client.pause_history(live.id)) == 1


async def test_a_wait_may_be_given_up_and_the_run_canceled(client: AsyncClient, world: Providers) -> None:
    world.on("/async-slow", world.held(Reply(json={})))
    workflow = await client.workflows.create("waits", waits(f"{world.url}/async-slow"))
    live = await client.start(workflow.id)
    with pytest.raises(StillRunning):
        await live.wait(timeout=0.2)
    with pytest.raises(StillRunning):
        await client.run(workflow.id, timeout=0.2)
    assert (await live.cancel()).status is Status.CANCELED
    for run in await client.runs(workflow.id, status="RUNNING"):
        await client.cancel(run.id)


async def test_events_can_be_followed_by_several_at_once(client: AsyncClient) -> None:
    workflow = await client.workflows.create("loops", LOOPS)
    live = await client.start(workflow.id, {"input_node": {"text": "x"}})

    async def numbers() -> list[int]:
        return [event.number async for event in live.events()]

    first, second = await asyncio.gather(numbers(), numbers())
    assert first == second == list(range(1, len(first) + 1))


async def test_a_batch_from_a_file_and_from_a_dataset(
    client: AsyncClient, rows: Path, tmp_path: Path
) -> None:
    workflow = await client.workflows.create("halves", HALVES)
    dataset = await client.datasets.create("numbers", rows, "fives")
    assert (await client.datasets.get(dataset.id)).description == "fives"
    assert len(await client.datasets.rows(dataset.id, limit=5)) == 5
    for source in (rows, dataset.id):
        batch = await client.batch(workflow.id, source, mini_batch_size=3)
        counts = [seen async for seen in batch.progress()][-1]
        assert (counts.completed, counts.failed) == (16, 4)
        lines = (await batch.download(tmp_path / "o.jsonl")).read_text().splitlines()
        assert [json.loads(line).get("row_index") for line in lines[:6]] == [0, None, None, None, None, 5]
        assert (await batch.download(tmp_path / "o.parquet", "parquet")).read_bytes()[:4] == b"PAR1"
        file = await client.outputs.get(batch.run.output_file_id or "")
        assert file.id in {one.id for one in await client.outputs.list()}
        await client.outputs.delete(file.id)
    await client.datasets.delete(dataset.id)
    assert dataset.id not in {one.id for one in await client.datasets.list()}


async def test_workflows_go_round(client: AsyncClient) -> None:
    workflow = await client.workflows.create("to and fro", HALVES, "x")
    await client.workflows.update(workflow.id, "fro and to", ASKS)
    found = await client.workflows.get(workflow.id)
    assert (found.name, found.description) == ("fro and to", "x")
    copy = await client.workflows.duplicate(workflow.id)
    await client.workflows.delete(copy.id)
    with pytest.raises(NotFound):
        await client.workflows.get(copy.id)
    assert workflow.id in {one.id for one in await client.workflows.list(page_size=100)}


async def test_refusals_carry_the_servers_sentence(client: AsyncClient) -> None:
    workflow = await client.workflows.create("halves", HALVES)
    with pytest.raises(InvalidRequest, match="lacks the required fields n"):
        await client.run(workflow.id, {"input_node": {}})
    with pytest.raises(NotFound, match="no node 'nobody'"):
        await client.run_partial(workflow.id, "nobody")
    assert (await client.run_partial(workflow.id, "work", partial_outputs={"input_node": {"n": 2}}))[
        "work"
    ] == {"half": 1.0}


async def test_a_server_that_is_not_there_is_said_to_be_missing() -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}") as client:
        assert not await client.is_ready()
        with pytest.raises(ConnectionLost, match="no Rowel server answers"):
            await client.runs()


async def test_a_listener_outlives_a_restart(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        async with AsyncClient(server.url) as client:
            workflow = await client.workflows.create("asks", ASKS)
            live = await client.start(workflow.id, {"input_node": {"amount": 1}})
            await live.wait()
            heard: list[int] = []
            begun = asyncio.Event()

            async def listen() -> None:
                async for event in live.events():
                    heard.append(event.number)
                    begun.set()

            listening = asyncio.ensure_future(listen())
            await begun.wait()
            server.kill()
            await asyncio.to_thread(server.start)
            await client.decide(live.id, "APPROVE", user_id="ann")
            await asyncio.wait_for(listening, 30)
    assert heard == list(range(1, len(heard) + 1))
