"""Lists, filters and the indexes they use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from rowel.core.records import WorkflowID
from rowel.core.status import RunStatus, RunType, TaskStatus
from rowel.store import pauses, runs
from rowel.store.journal import Changes
from rowel.store.runs import Filter
from tests.support.ledger import NOON, Ledger, make_task, rest


async def listed(ledger: Ledger, wanted: Filter, *, limit: int = 100, offset: int = 0) -> list[str]:
    found = await ledger.database.read(
        lambda connection: runs.newest(connection, wanted, limit=limit, offset=offset)
    )
    return [run.id for run in found]


async def test_runs_are_listed_newest_first_and_page_by_page(ledger: Ledger) -> None:
    made = [(await ledger.begin()).id for _ in range(5)]
    assert await listed(ledger, Filter()) == made[::-1]
    assert await listed(ledger, Filter(), limit=2, offset=2) == [made[2], made[1]]


async def test_runs_of_one_moment_are_listed_by_id(ledger: Ledger) -> None:
    made = [(await ledger.begin(start_time=NOON)).id for _ in range(3)]
    assert await listed(ledger, Filter()) == made[::-1]


async def test_a_cursor_goes_on_where_a_page_ended(ledger: Ledger) -> None:
    made = [await ledger.begin(start_time=NOON + timedelta(seconds=n // 2)) for n in range(6)]
    found: list[str] = []
    before = None
    for _ in range(6):
        (run_id,) = await listed(ledger, Filter(before=before), limit=1)
        run = await ledger.run(run_id)
        before = (run.start_time, run.id)
        found.append(run_id)
    assert found == [run.id for run in made][::-1]
    assert await listed(ledger, Filter(before=before)) == []


async def test_filters_narrow_the_list(ledger: Ledger) -> None:
    first = await ledger.begin(workflow_id=WorkflowID("a"))
    second = await ledger.begin(workflow_id=WorkflowID("b"), parent_run_id=first.id)
    partial = await ledger.begin(run_type=RunType.PARTIAL)
    await ledger.journal.rest(second, Changes(), rest(RunStatus.FAILED))
    assert await listed(ledger, Filter(workflow_id="a")) == [first.id]
    assert await listed(ledger, Filter(parent_run_id=first.id)) == [second.id]
    assert await listed(ledger, Filter(statuses=[RunStatus.FAILED])) == [second.id]
    assert await listed(ledger, Filter(run_type=RunType.PARTIAL)) == [partial.id]
    assert await listed(ledger, Filter()) == [second.id, first.id]
    assert await listed(ledger, Filter(since=second.start_time)) == [second.id]
    assert await listed(ledger, Filter(until=first.start_time)) == [first.id]


async def test_what_waits_is_listed_with_its_oldest_pause_newest_first(ledger: Ledger) -> None:
    first, (oldest, _) = await ledger.paused("a", "b")
    second, (only,) = await ledger.paused("c")
    running, _ = await ledger.paused("d")
    await ledger.journal.cancel(running, [], message="x", time=NOON, facts=[])
    found = await ledger.database.read(lambda connection: pauses.waiting_runs(connection, limit=10, offset=0))
    assert [(run.id, pause.id) for run, pause in found] == [(second.id, only.id), (first.id, oldest.id)]
    page = await ledger.database.read(lambda connection: pauses.waiting_runs(connection, limit=1, offset=1))
    assert [run.id for run, _ in page] == [first.id]


async def test_pauses_that_run_out_are_found_longest_overdue_first(ledger: Ledger) -> None:
    from tests.support.ledger import make_pause

    run = await ledger.begin()
    waiting = [
        make_pause(run, f"n{n}", due_at=NOON + timedelta(seconds=10 - n), on_timeout="fail") for n in range(3)
    ]
    await ledger.journal.advance(run, Changes(pauses=[*waiting, make_pause(run, "never")]))
    due = await ledger.database.read(lambda connection: pauses.due(connection, NOON + timedelta(seconds=9)))
    assert [pause.node_id for pause in due] == ["n2", "n1"]


async def test_recovery_finds_runs_with_work_but_leaves_rows_to_their_batch(ledger: Ledger) -> None:
    batch = await ledger.batch()
    row = await ledger.begin(owner_id=batch.id, row_index=0)
    open_run = await ledger.begin()
    resting, _ = await ledger.paused("ask")
    ended = await ledger.begin()
    await ledger.journal.rest(ended, Changes(), rest(RunStatus.COMPLETED))
    found = await ledger.database.read(runs.open_runs)
    assert {run.id for run in found} == {batch.id, open_run.id}
    rows = await ledger.database.read(lambda connection: runs.open_rows(connection, batch.id))
    assert [run.id for run in rows] == [row.id]
    assert resting.id not in {run.id for run in found}


async def test_open_runs_that_a_run_owns_are_found_at_any_depth(ledger: Ledger) -> None:
    root = await ledger.begin()
    child = await ledger.begin(owner_id=root.id, owner_path="a")
    grandchild = await ledger.begin(owner_id=child.id, owner_path="b")
    ended = await ledger.begin(owner_id=root.id, owner_path="c")
    await ledger.journal.rest(ended, Changes(), rest(RunStatus.COMPLETED))
    found = await ledger.database.read(lambda connection: runs.open_owned(connection, root.id))
    assert {run.id for run in found} == {child.id, grandchild.id}


async def test_rows_of_a_batch_are_read_in_order(ledger: Ledger) -> None:
    batch = await ledger.batch(total=5)
    made = [(await ledger.begin(owner_id=batch.id, row_index=n)).id for n in range(5)]
    found = await ledger.database.read(lambda connection: runs.rows_of(connection, batch.id, 2, 2))
    assert [run.id for run in found] == made[2:4]


async def test_tasks_of_many_runs_are_read_together(ledger: Ledger) -> None:
    made = [await ledger.begin("a", "b") for _ in range(3)]
    await ledger.journal.advance(made[0], Changes(tasks=[make_task(made[0], "c", TaskStatus.RUNNING)]))
    found = await ledger.database.read(
        lambda connection: runs.get_tasks_of(connection, [run.id for run in made])
    )
    assert [sorted(task.path for task in found[run.id]) for run in made] == [
        ["a", "b", "c"],
        ["a", "b"],
        ["a", "b"],
    ]


QUERIES: dict[str, Any] = {
    "all runs": lambda connection: runs.newest(connection, Filter(), limit=10),
    "runs of a workflow": lambda connection: runs.newest(connection, Filter(workflow_id="w"), limit=10),
    "after a cursor": lambda connection: runs.newest(connection, Filter(before=(NOON, "x")), limit=10),
    "tasks": lambda connection: runs.get_tasks_of(connection, ["a", "b"]),
    "work": runs.open_runs,
    "open rows": lambda connection: runs.open_rows(connection, "b"),
    "owned": lambda connection: runs.open_owned(connection, "b"),
    "rows": lambda connection: runs.rows_of(connection, "b", 0, 10),
    "due": lambda connection: pauses.due(connection, NOON),
    "pauses of a run": lambda connection: pauses.of_run(connection, "r"),
}


@pytest.mark.parametrize("name", list(QUERIES))
async def test_no_list_reads_a_whole_table(sqlite_url: str, name: str) -> None:
    ledger = Ledger(sqlite_url)
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        seen.append((statement, parameters))

    event.listen(ledger.database.engine, "before_cursor_execute", note)
    await ledger.database.read(QUERIES[name])
    event.remove(ledger.database.engine, "before_cursor_execute", note)
    plans = await ledger.database.read(
        lambda connection: [
            row[3]
            for statement, parameters in seen
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    )
    await ledger.close()
    assert plans
    assert not [line for line in plans if line.startswith("SCAN") and "USING INDEX" not in line], plans
