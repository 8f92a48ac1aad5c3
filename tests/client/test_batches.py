"""Batches through the clients and in the process: how they stand, changes, decisions, rows run again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowel import AsyncClient, Client, Rowel
from rowel.client import Conflict, InvalidRequest, Status
from rowel.core.errors import Conflict as EngineConflict
from rowel.core.errors import Invalid, InvalidForm, KeyReused
from tests.support.server import Server
from tests.support.workflows import ASKS, HALVES


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Five rows, of which one fails."""
    file = tmp_path / "rows.csv"
    file.write_text("number\n0\n1\n2\n3\n4\n")
    return file


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    file = tmp_path / "asking.csv"
    file.write_text("amount\n1\n2\n3\n")
    return file


@pytest.fixture
async def rowel(tmp_path: Path) -> AsyncIterator[Rowel]:
    async with Rowel(tmp_path / "data", environment={}) as opened:
        yield opened


def test_the_client_changes_batches_and_runs_rows_again(server: Server, rows: Path, tmp_path: Path) -> None:
    with Client(server.url) as client:
        workflow = client.workflows.create("halves", HALVES)
        batch = client.batch(
            workflow.id, rows, column_map={"n": "number"}, failure_threshold={"count": 3}, canary=2
        )
        assert batch.wait().status is Status.PAUSED
        standing = client.batches.get(batch.id)
        assert (standing.status, standing.queued, standing.failed) == (Status.PAUSED, 3, 1)
        assert standing.failure_threshold == {"count": 3, "percent": None, "after": None}
        changed = client.batches.change(batch.id, mini_batch_size=3)
        assert (changed.mini_batch_size, changed.failure_threshold) == (3, standing.failure_threshold)
        assert client.batches.change(batch.id, failure_threshold={}).failure_threshold is None
        with pytest.raises(Conflict, match="PAUSED"):
            client.redrive(batch.id)
        client.decide(batch.id, "APPROVE", user_id="ann")
        assert batch.wait().status is Status.COMPLETED
        (cause,) = client.batches.get(batch.id).causes
        assert (cause.count, cause.example_row) == (1, 0)
        with pytest.raises(Conflict, match="COMPLETED"):
            client.batches.change(batch.id, mini_batch_size=2)

        again = client.redrive(batch.id, cause=cause.signature, idempotency_key="again")
        assert client.redrive(batch.id, cause=cause.signature, idempotency_key="again").id == again.id
        assert again.wait().redrive_of == batch.id
        lines = again.download(tmp_path / "all.jsonl").read_text().splitlines()
        assert [json.loads(line).get("row_index") for line in lines] == [0, None, None, None, None]
        assert client.redrive(batch.id, [1, 2]).wait().message == "2 of 2 rows completed."
        with pytest.raises(InvalidRequest):
            client.redrive(batch.id, "some")


def test_the_client_decides_about_many_rows(server: Server, asking: Path) -> None:
    with Client(server.url) as client:
        batch = client.batch(client.workflows.create("asks", ASKS).id, asking)
        batch.wait()

        with pytest.raises(InvalidRequest, match="ok"):
            client.batches.decide(batch.id, "ask", "APPROVE", user_id="ann", inputs={"ok": "yes"})
        some, same = (
            client.batches.decide(
                batch.id,
                "ask",
                "APPROVE",
                user_id="ann",
                inputs={"ok": True},
                rows=[0, 1],
                idempotency_key="k",
            )
            for _ in range(2)
        )
        more = client.batches.decide(batch.id, "ask", "DECLINE", user_id="ann", rows=[0, 2], except_rows=[1])

        assert (some.decided, some.refusals) == (2, ())
        assert same == some
        assert (more.decided, more.refused) == (1, 1)
        (refused,) = more.refusals
        assert (refused.row_index, refused.code) == (0, "not_paused")
        assert batch.wait().message == "2 of 3 rows completed, 1 canceled."


async def test_the_async_client_does_the_same(server: Server, rows: Path, asking: Path) -> None:
    async with AsyncClient(server.url) as client:
        workflow = await client.workflows.create("halves", HALVES)
        batch = await client.batch(workflow.id, rows, column_map={"n": "number"}, canary=1)
        await batch.wait()
        assert (await client.batches.change(batch.id, mini_batch_size=2)).mini_batch_size == 2
        await client.decide(batch.id, "APPROVE", user_id="ann")
        await batch.wait()
        assert (await client.batches.get(batch.id)).failed == 1
        again = await client.redrive(batch.id)
        assert (await again.wait()).message == "0 of 1 rows completed, 1 failed."

        asks = await client.batch((await client.workflows.create("asks", ASKS)).id, asking)
        await asks.wait()
        made = await client.batches.decide(asks.id, "ask", "OVERRIDE", user_id="ann", inputs={"ok": True})
        assert made.decided == 3


async def test_the_process_itself_does_the_same(rowel: Rowel, rows: Path, tmp_path: Path) -> None:
    workflow = await rowel.workflows.create("halves", HALVES)
    batch = await rowel.batch(
        workflow.id, rows, column_map={"n": "number"}, failure_threshold={"percent": 50}, canary=2
    )
    assert (await batch.wait()).status is Status.PAUSED
    assert (await rowel.batches.get(batch.id)).queued == 3
    changed = await rowel.batches.change(batch.id, mini_batch_size=3, failure_threshold={})
    assert (changed.mini_batch_size, changed.failure_threshold) == (3, None)
    await rowel.decide(batch.id, "APPROVE", user_id="ann")
    assert (await batch.wait()).status is Status.COMPLETED
    (cause,) = (await rowel.batches.get(batch.id)).causes
    with pytest.raises(EngineConflict, match="COMPLETED"):
        await rowel.batches.change(batch.id, mini_batch_size=2)

    again = await rowel.redrive(batch.id, cause=cause.signature, idempotency_key="k")
    same = await rowel.redrive(batch.id, cause=cause.signature, idempotency_key="k")

    assert same.id == again.id
    assert (await again.wait()).redrive_of == batch.id
    lines = (await again.download(tmp_path / "all.jsonl")).read_text().splitlines()
    assert [json.loads(line).get("row_index") for line in lines] == [0, None, None, None, None]
    named = await rowel.redrive(batch.id, [3, 4], version="latest")
    assert (await named.wait()).message == "2 of 2 rows completed."
    with pytest.raises(Invalid, match="'some'"):
        await rowel.redrive(batch.id, "some")


async def test_the_process_itself_decides_about_many_rows(rowel: Rowel, asking: Path) -> None:
    batch = await rowel.batch((await rowel.workflows.create("asks", ASKS)).id, asking)
    await batch.wait()

    with pytest.raises(InvalidForm):
        await rowel.batches.decide(batch.id, "ask", "APPROVE", user_id="ann", inputs={"ok": 1})
    made = await rowel.batches.decide(
        batch.id, "ask", "APPROVE", user_id="ann", inputs={"ok": True}, except_rows=[1]
    )
    again, same = [
        await rowel.batches.decide(
            batch.id, "ask", "APPROVE", user_id="ann", rows=[0, 1], inputs={"ok": True}, idempotency_key="k"
        )
        for _ in range(2)
    ]

    assert made.decided == 2
    assert (again.decided, again.refused, again.refusals[0].row_index) == (1, 1, 0)
    assert same == again
    with pytest.raises(KeyReused):
        await rowel.batches.decide(batch.id, "ask", "APPROVE", user_id="bob", idempotency_key="k")


async def test_batches_in_the_process_have_the_clients_methods() -> None:
    from rowel.client.batches import AsyncBatches
    from rowel.client.batches import Batches as ClientBatches
    from rowel.embedded.batches import Batches

    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert methods(Batches) == methods(AsyncBatches) == methods(ClientBatches)
