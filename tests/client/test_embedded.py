"""Rowel in the process: the client's methods without a server."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowel import Rowel, RunFailed, RunPaused
from rowel.client import RunCanceled, Status, StillRunning, asynchronous
from rowel.core.errors import (
    Conflict,
    Invalid,
    InvalidDefinition,
    InvalidForm,
    InvalidInputs,
    KeyReused,
    NotFound,
)
from rowel.embedded import Datasets, LiveBatch, LiveRun, Workflows
from tests.support.providers import Providers, Reply
from tests.support.workflows import ASKS, HALVES, LOOPS, waits


@pytest.fixture
async def rowel(tmp_path: Path) -> AsyncIterator[Rowel]:
    async with Rowel(tmp_path / "data", environment={}) as opened:
        yield opened


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("n\n" + "\n".join(str(n % 5) for n in range(20)) + "\n")
    return file


async def test_a_run_gives_its_outputs_by_node(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    outputs = await rowel.run(workflow.id, {"input_node": {"n": 4}})
    assert outputs == {"input_node": {"n": 4}, "work": {"half": 2.0}}


async def test_a_failed_run_is_an_error_that_names_the_node(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    with pytest.raises(RunFailed, match="'work' failed: ValueError: zero") as raised:
        await rowel.run(workflow.id, {"input_node": {"n": 0}})
    run = raised.value.run
    assert run.status is Status.FAILED
    assert run.failed_task is not None
    assert run.failed_task.node_id == "work"


async def test_a_paused_run_is_an_error_that_can_be_decided_once(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("asks", ASKS)
    with pytest.raises(RunPaused) as raised:
        await rowel.run(workflow.id, {"input_node": {"amount": 1}})
    run_id = raised.value.run.id
    (waiting,) = await rowel.paused()
    assert (waiting.run.id, waiting.current_pause.pause_message) == (run_id, "Pay?")
    with pytest.raises(InvalidForm, match="ok"):
        await rowel.decide(run_id, "APPROVE", user_id="ann", inputs={"ok": "yes"})
    decided = await rowel.decide(run_id, "APPROVE", user_id="ann", inputs={"ok": True}, comments="fine")
    assert decided.message == "Node 'ask' was approved by ann: fine"
    live = rowel.attach(await rowel.get_run(run_id))
    assert (await live.wait()).status is Status.COMPLETED
    (pause,) = await rowel.pause_history(run_id)
    assert (pause.resume_user_id, pause.resume_action, pause.comments) == ("ann", "APPROVE", "fine")
    with pytest.raises(Conflict, match="approved by ann"):
        await rowel.decide(run_id, "DECLINE", user_id="bob")


async def test_a_declined_run_is_canceled(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("asks", ASKS)
    live = await rowel.start(workflow.id, {"input_node": {"amount": 1}})
    assert (await live.wait()).status is Status.PAUSED
    await rowel.decide(live.id, "DECLINE", user_id="bob")
    run = await live.wait()
    assert (run.status, run.message) == (Status.CANCELED, "Node 'ask' was declined by bob")


async def test_a_started_run_tells_its_events_once_and_in_order(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("loops", LOOPS)
    live = await rowel.start(workflow.id, {"input_node": {"text": "x"}})
    numbers = [event.number async for event in live.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event.number async for event in live.events(after=3)] == numbers[3:]
    run = await live.refresh()
    tasks = {task.node_id: task for task in run.tasks if task.parent_task_id is None}
    assert tasks["loop"].subworkflow_output is not None
    assert len(tasks["loop"].subworkflow_output["end"]) == 2


async def test_a_run_that_takes_too_long_goes_on_and_can_be_canceled(tmp_path: Path) -> None:
    with Providers() as world:
        world.on("/slow", world.held(Reply(json={})))
        allowed = [f"127.0.0.1:{world.port}"]
        async with Rowel(tmp_path / "data", environment={}, http_allow=allowed) as rowel:
            workflow = await rowel.workflows.create("waits", waits(f"{world.url}/slow"))
            with pytest.raises(StillRunning) as raised:
                await rowel.run(workflow.id, timeout=0.1)
            live = rowel.attach(raised.value.run)
            with pytest.raises(StillRunning):
                await live.wait(timeout=0.1)
            assert (await live.cancel()).status is Status.CANCELED
            with pytest.raises(Conflict, match="CANCELED"):
                await rowel.cancel(live.id)


async def test_a_canceled_run_is_an_error_of_its_own(tmp_path: Path) -> None:
    with Providers() as world:
        world.on("/slow", world.held(Reply(json={})))
        allowed = [f"127.0.0.1:{world.port}"]
        async with Rowel(tmp_path / "data", environment={}, http_allow=allowed) as rowel:
            workflow = await rowel.workflows.create("waits", waits(f"{world.url}/slow"))
            waiting = asyncio.ensure_future(rowel.run(workflow.id))
            await asyncio.to_thread(world.received.wait, 10)
            (run,) = await rowel.runs(workflow.id, status="RUNNING")
            await rowel.cancel(run.id)
            with pytest.raises(RunCanceled):
                await waiting


async def test_part_of_a_workflow_runs_on_given_outputs(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    outputs = await rowel.run_partial(workflow.id, "work", partial_outputs={"input_node": {"n": 10}})
    assert outputs["work"] == {"half": 5.0}
    assert await rowel.runs(workflow.id) == []
    (run,) = await rowel.runs(workflow.id, run_type="partial")
    assert run.run_type == "partial"


async def test_a_batch_is_watched_to_its_end_and_its_file_written(
    rowel: Rowel, rows: Path, tmp_path: Path
) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    batch = await rowel.batch(workflow.id, rows, mini_batch_size=4)
    seen = [counts async for counts in batch.progress()]
    for counts in seen:
        parts = counts.queued + counts.running + counts.finished + counts.paused
        assert parts == counts.total == 20
    assert (seen[-1].completed, seen[-1].failed) == (16, 4)
    run = await batch.refresh()
    assert (run.status, run.message) == (Status.COMPLETED, "16 of 20 rows completed, 4 failed.")
    lines = (await batch.download(tmp_path / "out.jsonl")).read_text().splitlines()
    assert [json.loads(line).get("row_index") for line in lines[:6]] == [0, None, None, None, None, 5]
    assert len((await batch.download(tmp_path / "out.csv", "csv")).read_text().splitlines()) == 1 + 20


async def test_a_dataset_may_be_used_by_many_batches(rowel: Rowel, rows: Path) -> None:
    dataset = await rowel.datasets.create("numbers", rows, "what they are")
    assert (dataset.filename, dataset.description) == ("rows.csv", "what they are")
    assert [one.id for one in await rowel.datasets.list()] == [dataset.id]
    assert len(await rowel.datasets.rows(dataset.id)) == 20
    workflow = await rowel.workflows.create("halves", HALVES)
    for _ in range(2):
        batch = await rowel.batch(workflow.id, dataset.id)
        assert (await batch.wait()).input_dataset_id == dataset.id
    await rowel.datasets.delete(dataset.id)
    with pytest.raises(NotFound):
        await rowel.datasets.get(dataset.id)


async def test_workflows_are_kept_changed_copied_and_deleted(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("first", HALVES, "what it does")
    changed = await rowel.workflows.update(workflow.id, "second", ASKS)
    assert (changed.name, changed.description) == ("second", "what it does")
    await rowel.start(workflow.id, {"input_node": {"amount": 1}})
    assert [version.version for version in await rowel.workflows.versions(workflow.id)] == [1]
    copy = await rowel.workflows.duplicate(workflow.id)
    assert {one.id for one in await rowel.workflows.list()} == {workflow.id, copy.id}
    await rowel.workflows.delete(copy.id)
    with pytest.raises(NotFound, match=copy.id):
        await rowel.workflows.get(copy.id)


async def test_what_is_wrong_is_said_before_there_is_a_run(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    with pytest.raises(InvalidInputs, match="lacks the required fields n"):
        await rowel.run(workflow.id, {"input_node": {}})
    with pytest.raises(InvalidDefinition, match="no node type 'Nope'"):
        await rowel.workflows.create("bad", {"nodes": [{"id": "a", "node_type": "Nope"}], "links": []})
    with pytest.raises(NotFound, match="no run 'none'"):
        await rowel.get_run("none")
    assert await rowel.runs(workflow.id) == []


async def test_node_types_are_described(rowel: Rowel) -> None:
    described = {node["name"] for group in rowel.node_types().values() for node in group}
    assert "RouterNode" in described


async def test_one_directory_has_one_engine(tmp_path: Path) -> None:
    async with Rowel(tmp_path / "data"):
        with pytest.raises(Conflict, match="in use by Rowel process"):
            async with Rowel(tmp_path / "data"):
                pass
    async with Rowel(tmp_path / "data") as again:
        assert await again.workflows.list() == []


async def test_what_was_open_goes_on_with_the_next_engine(tmp_path: Path) -> None:
    async with Rowel(tmp_path / "data") as first:
        workflow = await first.workflows.create("asks", ASKS)
        live = await first.start(workflow.id, {"input_node": {"amount": 1}})
        await live.wait()
    async with Rowel(tmp_path / "data") as second:
        await second.decide(live.id, "APPROVE", user_id="ann")
        run = await second.attach(await second.get_run(live.id)).wait()
        assert run.status is Status.COMPLETED


async def test_a_run_is_repeated_from_a_node_and_with_other_outputs(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    first = await rowel.start(workflow.id, {"input_node": {"n": 0}})
    assert (await first.wait()).status is Status.FAILED

    plan = await rowel.plan_rerun(first.id)
    edited = await rowel.rerun(first.id, edits={"input_node": {"n": 8}})
    again = await rowel.rerun(first.id, inputs={"input_node": {"n": 6}}, version="latest")

    assert (plan.rerun_of, plan.version) == (first.id, 1)
    assert [(node.node_id, node.fate, node.why) for node in plan.nodes][1] == ("work", "run", "it failed")
    run = await edited.wait()
    assert (run.outputs or {})["work"] == {"half": 4.0}
    assert (run.run_type, run.rerun_of) == ("rerun", first.id)
    assert [(task.given, task.reused) for task in run.tasks] == [(True, False), (False, False)]
    assert ((await again.wait()).outputs or {})["work"] == {"half": 3.0}
    assert {run.id for run in await rowel.runs(rerun_of=first.id)} == {edited.id, again.id}
    with pytest.raises(Invalid, match="'oldest'"):
        await rowel.rerun(first.id, version="oldest")


async def test_the_same_on_postgres(postgres_url: str, tmp_path: Path, rows: Path) -> None:
    async with Rowel(postgres_url, data=tmp_path / "files") as rowel:
        workflow = await rowel.workflows.create("halves", HALVES)
        assert (await rowel.run(workflow.id, {"input_node": {"n": 4}}))["work"] == {"half": 2.0}
        batch = await rowel.batch(workflow.id, rows)
        assert [counts async for counts in batch.progress()][-1].finished == 20


@pytest.mark.parametrize(
    ("embedded", "client"),
    [
        (Rowel, asynchronous.AsyncClient),
        (Workflows, asynchronous.Workflows),
        (Datasets, asynchronous.Datasets),
        (LiveRun, asynchronous.LiveRun),
        (LiveBatch, asynchronous.LiveBatch),
    ],
)
def test_what_is_embedded_is_offered_by_the_client_too(embedded: type, client: type) -> None:
    def methods(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}

    assert methods(embedded) <= methods(client)


async def test_what_comes_with_a_key_is_done_once(rowel: Rowel, rows: Path) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    dataset = await rowel.datasets.create("rows", rows)
    inputs = {"input_node": {"n": 4}}

    outputs = [await rowel.run(workflow.id, inputs, idempotency_key="k") for _ in range(2)]
    live = [await rowel.start(workflow.id, inputs, idempotency_key="k") for _ in range(2)]
    await live[0].wait()
    parts = [
        await rowel.run_partial(workflow.id, "input_node", inputs, idempotency_key="k") for _ in range(2)
    ]
    reruns = [await rowel.rerun(live[0].id, idempotency_key="k") for _ in range(2)]
    batches = [await rowel.batch(workflow.id, dataset.id, idempotency_key="k") for _ in range(2)]

    assert outputs == [{"input_node": {"n": 4}, "work": {"half": 2.0}}] * 2
    assert parts == [{"input_node": {"n": 4}}] * 2
    for one, again in (live, reruns, batches):
        assert again.id == one.id
    found = await rowel.runs(workflow.id, page_size=100)
    assert sum(run.parent_run_id is None for run in found) == 4
    with pytest.raises(KeyReused):
        await rowel.start(workflow.id, {"input_node": {"n": 5}}, idempotency_key="k")
    with pytest.raises(Invalid, match="1 to 255 printable ASCII"):
        await rowel.start(workflow.id, inputs, idempotency_key="é")


async def test_a_decision_with_a_key_is_made_once_and_seen_as_it_is_by_then(rowel: Rowel) -> None:
    workflow = await rowel.workflows.create("asks", ASKS)
    live = await rowel.start(workflow.id, {"input_node": {"amount": 1}})
    await live.wait()

    decided = await rowel.decide(live.id, "APPROVE", user_id="ann", idempotency_key="k")
    ended = await live.wait()
    again = await rowel.decide(live.id, "APPROVE", user_id="ann", idempotency_key="k")

    assert decided.message == "Node 'ask' was approved by ann"
    assert (again.status, again.outputs) == (Status.COMPLETED, ended.outputs)
