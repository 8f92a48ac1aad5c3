"""Both clients against a real server."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from rowel import AsyncClient, Client, RunFailed, RunPaused
from rowel.client import (
    Conflict,
    ConnectionLost,
    InvalidRequest,
    NotFound,
    RunCanceled,
    Status,
    StillRunning,
    asynchronous,
    blocking,
)
from tests.support.providers import Providers, Reply
from tests.support.server import Server, free_port
from tests.support.workflows import ASKS, HALVES, LOOPS, waits


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("n\n" + "\n".join(str(n % 5) for n in range(20)) + "\n")
    return file


def test_a_run_gives_its_outputs_by_node(client: Client) -> None:
    workflow = client.workflows.create("halves", HALVES)
    outputs = client.run(workflow.id, {"input_node": {"n": 4}})
    assert outputs == {"input_node": {"n": 4}, "work": {"half": 2.0}}


def test_a_failed_run_is_an_error_that_names_the_node(client: Client) -> None:
    workflow = client.workflows.create("halves", HALVES)
    with pytest.raises(RunFailed, match="'work' failed: ValueError: zero") as raised:
        client.run(workflow.id, {"input_node": {"n": 0}})
    assert raised.value.run.status is Status.FAILED
    failed = raised.value.run.failed_task
    assert failed is not None
    assert failed.node_id == "work"


def test_a_paused_run_is_an_error_that_can_be_decided(client: Client) -> None:
    workflow = client.workflows.create("asks", ASKS)
    with pytest.raises(RunPaused) as raised:
        client.run(workflow.id, {"input_node": {"amount": 1}})
    run_id = raised.value.run.id
    assert run_id in {waiting.run.id for waiting in client.paused(page_size=100)}
    decided = client.decide(run_id, "APPROVE", user_id="ann", inputs={"ok": True}, comments="fine")
    assert decided.message == "Node 'ask' was approved by ann: fine"
    assert client.attach(run_id).outputs()["paid"] == {"paid": True}
    (pause,) = client.pause_history(run_id)
    assert (pause.resume_user_id, pause.resume_action, pause.comments) == ("ann", "APPROVE", "fine")
    with pytest.raises(Conflict, match="approved by ann"):
        client.decide(run_id, "DECLINE", user_id="bob")


def test_a_declined_run_is_canceled(client: Client) -> None:
    workflow = client.workflows.create("asks", ASKS)
    run = client.start(workflow.id, {"input_node": {"amount": 1}})
    assert run.wait().status is Status.PAUSED
    run.decide("DECLINE", user_id="bob")
    with pytest.raises(RunCanceled, match="declined by bob"):
        run.outputs()


def test_a_started_run_can_be_watched_and_waited_for(client: Client) -> None:
    workflow = client.workflows.create("loops", LOOPS)
    run = client.start(workflow.id, {"input_node": {"text": "x"}})
    assert run.wait().status is Status.COMPLETED
    numbers = [event.number for event in run.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event.number for event in run.events(after=2)] == numbers[2:]
    tasks = {task.node_id: task for task in run.run.tasks if task.parent_task_id is None}
    assert tasks["loop"].subworkflow_output is not None
    assert len(tasks["loop"].subworkflow_output["end"]) == 2


def test_a_canceled_run_says_so(client: Client, world: Providers) -> None:
    world.on("/slow", world.held(Reply(json={})))
    workflow = client.workflows.create("waits", waits(f"{world.url}/slow"))
    run = client.start(workflow.id)
    with pytest.raises(StillRunning):
        client.run(workflow.id, timeout=0.2)
    assert run.cancel().status is Status.CANCELED
    with pytest.raises(Conflict, match="CANCELED"):
        run.cancel()
    for open_run in client.runs(workflow.id, status="RUNNING"):
        client.cancel(open_run.id)


def test_part_of_a_workflow_runs_on_given_outputs(client: Client) -> None:
    workflow = client.workflows.create("halves", HALVES)
    outputs = client.run_partial(workflow.id, "work", partial_outputs={"input_node": {"n": 10}})
    assert outputs["work"] == {"half": 5.0}


def test_a_run_is_repeated_from_where_it_failed_with_other_outputs(client: Client) -> None:
    workflow = client.workflows.create("halves", HALVES)
    failed = client.start(workflow.id, {"input_node": {"n": 0}})
    failed.wait()

    plan = client.plan_rerun(failed.id, edits={"input_node": {"n": 8}})
    live = client.rerun(failed.id, edits={"input_node": {"n": 8}})

    assert (plan.rerun_of, plan.version) == (failed.id, 1)
    told = [(node.node_id, node.fate, node.why, node.touches_outside) for node in plan.nodes]
    assert told == [
        ("input_node", "edit", "its outputs are given", False),
        ("work", "run", "it lies behind 'input_node'", False),
    ]
    assert live.outputs()["work"] == {"half": 4.0}
    assert (live.run.run_type, live.run.rerun_of) == ("rerun", failed.id)
    assert [task.given for task in live.run.tasks] == [True, False]
    assert [run.id for run in client.runs(rerun_of=failed.id)] == [live.id]
    again = client.rerun(live.id, from_nodes=["work"], version=1)
    assert again.wait().tasks[0].given
    assert client.rerun(live.id, inputs={"input_node": {"n": 6}}, version="latest").outputs()["work"] == {
        "half": 3.0
    }
    with pytest.raises(NotFound, match="version 9"):
        client.plan_rerun(live.id, version=9)


async def test_the_asyncio_client_repeats_runs_too(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        workflow = await client.workflows.create("halves", HALVES)
        first = await client.start(workflow.id, {"input_node": {"n": 4}})
        await first.wait()
        plan = await client.plan_rerun(first.id, from_nodes=["work"])
        second = await client.rerun(first.id, from_nodes=["work"])
        assert [node.fate for node in plan.nodes] == ["reuse", "run"]
        assert await second.outputs() == {"input_node": {"n": 4}, "work": {"half": 2.0}}
        assert [task.reused for task in second.run.tasks] == [True, False]


def test_a_batch_is_watched_to_its_end_and_its_file_downloaded(
    client: Client, rows: Path, tmp_path: Path
) -> None:
    workflow = client.workflows.create("halves", HALVES)
    batch = client.batch(workflow.id, rows, mini_batch_size=4)
    seen = list(batch.progress())
    for counts in seen:
        parts = counts.queued + counts.running + counts.finished + counts.paused
        assert parts == counts.total == 20
    assert (seen[-1].completed, seen[-1].failed) == (16, 4)
    assert batch.refresh().message == "16 of 20 rows completed, 4 failed."
    lines = batch.download(tmp_path / "out.jsonl").read_text().splitlines()
    assert len(lines) == 20
    assert json.loads(lines[0])["row_index"] == 0
    assert json.loads(lines[1])["work"] == {"half": 0.5}


def test_workflows_are_kept_listed_changed_and_deleted(client: Client) -> None:
    workflow = client.workflows.create("unique name", HALVES, "what it does")
    assert client.workflows.get(workflow.id).description == "what it does"
    assert [found.id for found in client.workflows.find("unique name")] == [workflow.id]
    client.workflows.update(workflow.id, "unique name 2", ASKS)
    assert client.workflows.get(workflow.id).definition["nodes"][1]["id"] == "ask"
    client.start(workflow.id, {"input_node": {"amount": 1}})
    assert [version.version for version in client.workflows.versions(workflow.id)] == [1]
    copy = client.workflows.duplicate(workflow.id)
    assert copy.id != workflow.id
    client.workflows.delete(copy.id)
    with pytest.raises(NotFound, match=copy.id):
        client.workflows.get(copy.id)


def test_datasets_and_output_files_are_listed_and_deleted(client: Client, rows: Path) -> None:
    dataset = client.datasets.create("numbers", rows)
    assert client.datasets.get(dataset.id).filename == "rows.csv"
    assert client.datasets.rows(dataset.id, start=18) == [{"n": "3"}, {"n": "4"}]
    workflow = client.workflows.create("halves", HALVES)
    batch = client.batch(workflow.id, dataset.id)
    batch.wait()
    file_id = batch.run.output_file_id
    assert file_id is not None
    assert client.outputs.get(file_id).file_name.endswith(".jsonl")
    table = client.outputs.download(file_id, rows.with_name("out.csv"), "csv")
    assert len(table.read_text().splitlines()) == 1 + 20
    client.outputs.delete(file_id)
    assert file_id not in {file.id for file in client.outputs.list()}
    client.datasets.delete(dataset.id)
    with pytest.raises(NotFound):
        client.datasets.get(dataset.id)


def test_refusals_carry_the_servers_sentence(client: Client) -> None:
    workflow = client.workflows.create("halves", HALVES)
    with pytest.raises(InvalidRequest, match="lacks the required fields n"):
        client.run(workflow.id, {"input_node": {}})
    with pytest.raises(InvalidRequest, match="there is no node type 'Nope'"):
        client.workflows.create("bad", {"nodes": [{"id": "a", "node_type": "Nope"}], "links": []})
    with pytest.raises(NotFound, match="no run 'none'"):
        client.get_run("none")


def test_a_server_that_is_not_there_is_said_to_be_missing() -> None:
    with Client(f"http://127.0.0.1:{free_port()}") as client:
        assert not client.is_ready()
        with pytest.raises(ConnectionLost, match="no Rowel server answers") as raised:
            client.get_run("x")
    assert not raised.value.may_have_arrived


async def test_the_async_client_does_the_same(server: Server, rows: Path, tmp_path: Path) -> None:
    async with AsyncClient(server.url) as client:
        workflow = await client.workflows.create("async halves", HALVES)
        assert (await client.run(workflow.id, {"input_node": {"n": 4}}))["work"] == {"half": 2.0}
        with pytest.raises(RunFailed):
            await client.run(workflow.id, {"input_node": {"n": 0}})
        run = await client.start(workflow.id, {"input_node": {"n": 2}})
        assert (await run.wait()).status is Status.COMPLETED
        assert [event.number async for event in run.events(after=1)][:1] == [2]
        batch = await client.batch(workflow.id, rows)
        assert [counts async for counts in batch.progress()][-1].finished == 20
        assert len((await batch.download(tmp_path / "o.jsonl")).read_text().splitlines()) == 20
        assert [found.id for found in await client.workflows.find("async halves")] == [workflow.id]
        assert workflow.id in {found.id async for found in client.workflows.every()}
        assert await client.is_ready()


async def test_the_async_client_decides_pauses(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        workflow = await client.workflows.create("async asks", ASKS)
        run = await client.start(workflow.id, {"input_node": {"amount": 1}})
        assert (await run.wait()).status is Status.PAUSED
        await run.decide("OVERRIDE", user_id="ann", inputs={"ok": False})
        assert (await run.outputs())["ask"] == {"ok": False}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (blocking.Client, asynchronous.AsyncClient),
        (blocking.Workflows, asynchronous.Workflows),
        (blocking.Datasets, asynchronous.Datasets),
        (blocking.OutputFiles, asynchronous.OutputFiles),
        (blocking.LiveRun, asynchronous.LiveRun),
        (blocking.LiveBatch, asynchronous.LiveBatch),
    ],
)
def test_both_clients_offer_the_same_methods_with_the_same_words(one: type, other: type) -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in found
            if not name.startswith("_")
        }

    assert methods(one) == methods(other)
