"""What retention takes from the store, and what it leaves, on both databases."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from rowel.core.errors import NotFound
from rowel.core.records import OutputFileID, Run, WorkflowID
from rowel.core.status import RunStatus, RunType
from rowel.store import leftovers, pruning
from rowel.store.database import Database
from rowel.store.leftovers import LeftoverWrites
from rowel.store.pruning import Gone, Pieces, PruneWrites
from tests.support.ledger import NOON, Ledger, make_run

OLD, YOUNG = NOON - timedelta(days=40), NOON - timedelta(days=1)
BEFORE = NOON - timedelta(days=30)


@pytest.fixture
def writes(ledger: Ledger) -> PruneWrites:
    return PruneWrites(ledger.database.writer, ledger.database.dialect)


@pytest.fixture
def sweeps(ledger: Ledger) -> LeftoverWrites:
    return LeftoverWrites(ledger.database.writer, ledger.database.dialect)


async def ended(ledger: Ledger, time: datetime = OLD, *tasks: str, **fields: Any) -> Run:
    """A run that ended at that time."""
    status = {"status": RunStatus.COMPLETED, "end_time": time, "has_work": False}
    return await ledger.begin(*tasks, **{**status, **fields})


async def old(ledger: Ledger, before: datetime = BEFORE) -> list[str]:
    found = await ledger.database.read(lambda connection: pruning.old_runs(connection, before, 100))
    return [run.id for run in found]


async def left(ledger: Ledger) -> set[str]:
    """The runs that are still there."""
    listed = "string_agg(id, ' ')" if "postgres" in ledger.url else "group_concat(id, ' ')"
    return set((await ledger.scalar(f"SELECT coalesce({listed}, '') FROM runs")).split())


async def execute(ledger: Ledger, statement: str) -> None:
    await ledger.database.writer.write([(statement, ())])


async def adopt(ledger: Ledger, owner: Run, **fields: Any) -> Run:
    """A row or a child of a run that is open at this moment; it has ended afterwards."""
    child = await ledger.begin("a", owner_id=owner.id, parent_run_id=owner.id, **fields)
    await execute(ledger, f"UPDATE runs SET end_time = 1, status = 'COMPLETED' WHERE id = '{child.id}'")
    return child


async def end(ledger: Ledger, run: Run, time: datetime = OLD) -> None:
    moment = int(time.timestamp() * 1_000_000)
    await execute(
        ledger,
        f"UPDATE runs SET end_time = {moment}, status = 'COMPLETED', has_work = 0 WHERE id = '{run.id}'",
    )


async def pieces(ledger: Ledger, run_ids: list[str], size: int) -> list[Pieces]:
    return await ledger.database.read(lambda connection: pruning.pieces(connection, run_ids, size))


async def test_runs_that_ended_before_that_moment_are_old(ledger: Ledger) -> None:
    first, second = await ended(ledger, OLD), await ended(ledger, OLD - timedelta(days=1))
    await ended(ledger, BEFORE)
    await ended(ledger, YOUNG)
    await ledger.begin()
    assert await old(ledger) == [second.id, first.id]


async def test_old_runs_come_page_by_page(ledger: Ledger) -> None:
    made = [(await ended(ledger, OLD + timedelta(seconds=n // 2))).id for n in range(5)]
    found, after = [], pruning.BEGINNING
    while page := await ledger.database.read(
        lambda connection: pruning.old_runs(connection, BEFORE, 2, after)  # noqa: B023  # read at once
    ):
        found += [run.id for run in page]
        after = page[-1]
    assert found == made


async def test_what_open_runs_name_is_needed(ledger: Ledger) -> None:
    parent, origin, free = [await ended(ledger) for _ in range(3)]
    await ledger.begin(parent_run_id=parent.id)
    await ledger.begin(origin_id=origin.id, run_type=RunType.RERUN)
    assert await old(ledger) == [free.id]


async def test_what_ended_runs_name_is_not_needed(ledger: Ledger) -> None:
    parent, origin = [await ended(ledger) for _ in range(2)]
    await ended(ledger, YOUNG, parent_run_id=parent.id)
    await ended(ledger, YOUNG, origin_id=origin.id, run_type=RunType.RERUN)
    assert await old(ledger) == [parent.id, origin.id]


async def test_the_owner_of_what_an_open_run_repeats_is_needed(ledger: Ledger) -> None:
    batch = await ledger.begin()
    row = await adopt(ledger, batch, row_index=0)
    await end(ledger, batch)
    await ledger.begin(origin_id=row.id, run_type=RunType.RERUN)
    assert await old(ledger) == []


async def test_whatever_owns_an_open_run_at_any_depth_is_needed(ledger: Ledger) -> None:
    top = await ledger.begin()
    middle = await ledger.begin(owner_id=top.id, owner_path="a", parent_run_id=top.id)
    await ledger.begin(owner_id=middle.id, owner_path="a", parent_run_id=middle.id)
    await end(ledger, top)
    await end(ledger, middle)
    assert await old(ledger) == []


async def test_a_batch_is_needed_while_a_younger_one_takes_rows_from_it(ledger: Ledger) -> None:
    file = OutputFileID("f")
    first = await ended(ledger, output_file_id=file)
    second = await ended(ledger, origin_id=first.id, output_file_id=file)
    assert await old(ledger) == [first.id, second.id]
    await ended(ledger, YOUNG, origin_id=second.id, output_file_id=file)
    assert await old(ledger) == []


async def test_a_run_goes_with_all_that_is_small_and_leaves_a_mark(
    ledger: Ledger, writes: PruneWrites
) -> None:
    run, _ = await ledger.paused("ask")
    await end(ledger, run)
    other = await ended(ledger, YOUNG)
    gone = await writes.forget_old([run.id, other.id], BEFORE)

    assert (gone.runs, gone.output_files) == (1, 0)
    assert await left(ledger) == {other.id}
    assert await ledger.pauses(run.id) == []
    assert await ledger.database.read(lambda connection: pruning.marked(connection, 10)) == [(run.id, None)]


async def test_a_batchs_counts_causes_and_file_go_with_it(ledger: Ledger, writes: PruneWrites) -> None:
    batch = await ledger.batch()
    await execute(ledger, f"UPDATE runs SET output_file_id = 'file-{batch.id}' WHERE id = '{batch.id}'")
    await execute(ledger, f"INSERT INTO causes VALUES ('{batch.id}', 's', 1, 'x', 0)")
    await execute(ledger, f"INSERT INTO lanes VALUES ('{batch.id}', 0, 0, 1, 1)")
    await end(ledger, batch)
    gone = await writes.forget_old([batch.id], BEFORE)

    assert gone.output_files == 1
    for table in ("batches", "causes", "lanes", "output_files"):
        assert await ledger.scalar(f"SELECT count(*) FROM {table}") == 0
    (mark,) = await ledger.database.read(lambda connection: pruning.marked(connection, 10))
    assert mark.file_key == "outputs/x.jsonl"


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING, RunStatus.PAUSED])
async def test_an_open_run_stays_whoever_names_it(
    ledger: Ledger, writes: PruneWrites, status: RunStatus
) -> None:
    run = await ledger.begin("a", status=status)
    assert await writes.forget_old([run.id], NOON + timedelta(days=999)) == Gone()
    assert await left(ledger) == {run.id}
    assert set(await ledger.tasks(run.id)) == {"a"}


async def test_who_began_to_need_a_run_meanwhile_keeps_it(ledger: Ledger, writes: PruneWrites) -> None:
    parent, origin, batch = [await ended(ledger) for _ in range(3)]
    await ledger.begin(parent_run_id=parent.id)
    await ledger.begin(origin_id=origin.id)
    await ended(ledger, YOUNG, origin_id=batch.id, output_file_id=OutputFileID("f"))
    assert (await writes.forget_old([parent.id, origin.id, batch.id], BEFORE)).runs == 0


@pytest.mark.parametrize("name", ["parent_run_id", "origin_id"])
async def test_a_run_that_names_one_that_is_gone_does_not_begin(
    ledger: Ledger, writes: PruneWrites, name: str
) -> None:
    named = await ended(ledger)
    await writes.forget_old([named.id], BEFORE)
    run = make_run(**{name: named.id})
    with pytest.raises(NotFound, match="was removed meanwhile; nothing was started"):
        await ledger.begin("a", id=run.id, **{name: named.id})
    assert await left(ledger) == set()
    assert await ledger.tasks(run.id) == {}


async def test_what_is_large_goes_in_pieces(ledger: Ledger, writes: PruneWrites) -> None:
    run = await ended(ledger, OLD, *"abcde")
    other = await ended(ledger, OLD, *"xy")
    await writes.forget_old([run.id], BEFORE)
    assert await pieces(ledger, [run.id], 100) == [("tasks", run.id, 5), ("events", run.id, 1)]

    assert await writes.remove([Pieces("tasks", run.id, 2)]) == 2
    assert set(await ledger.tasks(run.id)) == {"c", "d", "e"}
    assert await writes.unmark([run.id]) == 0
    assert await writes.remove([Pieces("tasks", run.id, 9), Pieces("events", run.id, 9)]) == 3
    assert await writes.unmark([run.id]) == 1
    assert set(await ledger.tasks(other.id)) == {"x", "y"}
    assert await ledger.numbers(other.id) == [1]


async def test_a_step_has_few_large_rows_or_many_small_ones(ledger: Ledger) -> None:
    first, second = [await ended(ledger, OLD, *"abc") for _ in range(2)]
    both = [first.id, second.id]
    assert await pieces(ledger, both, 4) == [("tasks", first.id, 3), ("tasks", second.id, 1)]
    assert await pieces(ledger, both, 7) == [
        ("tasks", first.id, 3),
        ("tasks", second.id, 3),
        ("events", first.id, 1),
    ]
    await execute(ledger, f"UPDATE tasks SET outputs = '{'x' * 40_000}' WHERE run_id = '{first.id}'")
    assert await pieces(ledger, both, 12) == [("tasks", first.id, 2)]
    assert await pieces(ledger, both, 1) == [("tasks", first.id, 1)]
    assert await pieces(ledger, ["none"], 9) == []


async def test_what_a_run_owns_follows_it(ledger: Ledger, writes: PruneWrites) -> None:
    batch = await ledger.begin()
    rows = [await adopt(ledger, batch, row_index=n) for n in range(3)]
    child = await adopt(ledger, batch, owner_path="sub")
    await end(ledger, batch)
    weight = await ledger.database.read(lambda connection: pruning.weigh(connection, [batch.id]))
    assert weight == Gone(runs=5, tasks=4, events=5)

    assert await writes.forget_owned([rows[0].id]) == Gone()
    await writes.forget_old([batch.id], BEFORE)
    found = await ledger.database.read(lambda connection: pruning.owned_by(connection, [batch.id], 2))
    assert len(found) == 2
    assert (await writes.forget_owned([run.id for run in (*rows, child)])).runs == 4
    assert await left(ledger) == set()


async def test_an_owned_run_is_never_taken_by_itself(ledger: Ledger, writes: PruneWrites) -> None:
    batch = await ledger.begin()
    row = await adopt(ledger, batch, row_index=0)
    assert (await writes.forget_old([row.id], BEFORE)).runs == 0


async def test_two_who_remove_the_same_runs_count_each_of_them_once(ledger: Ledger) -> None:
    made = [(await ended(ledger, OLD, "a")).id for _ in range(30)]
    other = Database(ledger.url)
    both = [PruneWrites(database.writer, database.dialect) for database in (ledger.database, other)]
    gone = await asyncio.gather(*(writes.forget_old(made, BEFORE) for writes in both))
    removed = await asyncio.gather(
        *(writes.remove([Pieces("tasks", run_id, 1) for run_id in made]) for writes in both)
    )
    await other.close()
    assert sum(one.runs for one in gone) == 30
    assert sum(removed) == 30


async def test_a_deleted_workflow_without_runs_goes_with_its_versions(
    ledger: Ledger, sweeps: LeftoverWrites
) -> None:
    young = int(NOON.timestamp() * 1_000_000)
    for name, deleted in (("gone", 1), ("used", 1), ("named", 1), ("young", young), ("live", None)):
        definition = '{"workflow_id": "named"}' if name == "live" else "{}"
        await execute(
            ledger,
            "INSERT INTO workflows (id, name, definition, definition_hash, facts, created_at, updated_at, deleted_at)"
            f" VALUES ('{name}', 'x', '{definition}', 'h', '{{}}', 1, 1, {deleted or 'NULL'})",
        )
        await execute(
            ledger,
            "INSERT INTO versions (id, workflow_id, version, name, definition, definition_hash, created_at, updated_at)"
            f" VALUES ('v-{name}', '{name}', 1, 'x', '{{}}', 'h', 1, 1)",
        )
    await ledger.begin(workflow_id=WorkflowID("used"))
    found = await ledger.database.read(lambda connection: leftovers.deleted_workflows(connection, BEFORE, 10))
    assert found == ["gone"]

    await sweeps.forget_workflows(["gone", "used", "young", "live"], BEFORE)
    assert await ledger.scalar("SELECT count(*) FROM workflows WHERE id = 'gone'") == 0
    assert await ledger.scalar("SELECT count(*) FROM workflows") == 4
    assert await ledger.scalar("SELECT count(*) FROM versions") == 4


async def test_receipts_go_a_few_at_a_time(ledger: Ledger, sweeps: LeftoverWrites) -> None:
    for n in range(5):
        moment = int((OLD if n < 4 else YOUNG).timestamp() * 1_000_000)
        await execute(ledger, f"INSERT INTO requests VALUES ('k{n}', 'f', 'r', NULL, NULL, {moment})")
    assert [await sweeps.forget_requests(BEFORE, 3) for _ in range(3)] == [3, 1, 0]
    assert await ledger.scalar("SELECT max(key) FROM requests") == "k4"


async def test_a_writer_that_has_been_silent_for_long_is_forgotten(
    ledger: Ledger, sweeps: LeftoverWrites
) -> None:
    await execute(ledger, "INSERT INTO writers (id, n) VALUES ('dead', 7), ('alive', 7)")
    await sweeps.forget_writers(NOON)
    await execute(ledger, "UPDATE writers SET n = 8 WHERE id = 'alive'")
    await sweeps.forget_writers(NOON + timedelta(days=29))
    assert await ledger.scalar("SELECT count(*) FROM writers") == 3
    await sweeps.forget_writers(NOON + timedelta(days=31))
    assert await ledger.scalar("SELECT count(*) FROM writers WHERE id = 'dead'") == 0
    assert await ledger.scalar("SELECT count(*) FROM writers") == 2


async def test_keys_without_a_record_are_told(ledger: Ledger) -> None:
    batch = await ledger.batch()
    await execute(
        ledger, f"UPDATE output_files SET id = 'one', key = 'outputs/one.jsonl' WHERE run_id = '{batch.id}'"
    )
    for folder, keys, unknown in (
        ("outputs", {"outputs/one.jsonl", "outputs/two.jsonl"}, {"outputs/two.jsonl"}),
        ("datasets", {"datasets/one.csv"}, {"datasets/one.csv"}),
        ("probes", {"probes/x.txt"}, {"probes/x.txt"}),
    ):
        found = await ledger.database.read(
            lambda connection: leftovers.without_record(connection, folder, keys)  # noqa: B023  # read at once
        )
        assert found == unknown


async def test_the_look_for_old_runs_goes_by_indexes(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    query = pruning._OLD.text
    for name in ("before", "time", "id", "limit"):
        query = query.replace(f":{name}", "0")
    plan = await ledger.database.read(
        lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    )
    await ledger.close()
    looks = [str(line[3]) for line in plan if "runs" in str(line[3])]
    assert all("INDEX" in look for look in looks), looks
    for index in ("ix_runs_ended", "ix_runs_open_children", "ix_runs_open_parents", "ix_runs_origins"):
        assert any(index in look for look in looks), looks


async def test_sqlites_file_becomes_smaller(sqlite_url: str) -> None:
    ledger = Ledger(sqlite_url)
    sweeps = LeftoverWrites(ledger.database.writer, ledger.database.dialect)
    run = await ledger.begin()
    await execute(ledger, f"UPDATE runs SET message = '{'x' * 2_000_000}'")
    await execute(ledger, "UPDATE runs SET message = NULL")
    spare = await ledger.database.read(leftovers.free_pages)
    assert spare > 400
    size = await ledger.scalar("PRAGMA page_count")
    await sweeps.give_back(300)
    assert await ledger.scalar("PRAGMA page_count") == size - 300
    assert await ledger.database.read(leftovers.free_pages) == spare - 300
    assert (await ledger.run(run.id)).id == run.id
    await ledger.close()
