"""Lists, filters and the indexes they use."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from rowel.core.errors import Unavailable
from rowel.core.records import Run, RunID, WorkflowID
from rowel.core.status import RunStatus, RunType, TaskStatus
from rowel.store import causes, datasets, events, lists, pauses, runs, workflows
from rowel.store.database import Database
from rowel.store.journal import Changes
from rowel.store.runs import Filter
from tests.support.ledger import NOON, Ledger, facts, make_pause, make_task, rest

Query = Callable[[Connection], Any]


async def listed(ledger: Ledger, wanted: Filter, *, limit: int = 100, offset: int = 0) -> list[str]:
    found = await ledger.database.read(
        lambda connection: lists.newest(connection, wanted, limit=limit, offset=offset)
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
    rows = await ledger.database.read(lambda connection: runs.open_rows(connection, batch.id, 9))
    assert [found.id for found in rows] == [row.id]
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


async def test_tasks_are_listed_as_they_started_and_those_that_never_did_last(ledger: Ledger) -> None:
    run = await ledger.begin()
    started = [make_task(run, name, start_time=NOON + timedelta(seconds=n)) for n, name in enumerate("cab")]
    never = [make_task(run, name, TaskStatus.CANCELED) for name in "ed"]
    await ledger.journal.advance(run, Changes(tasks=[*never, *started]))
    assert list(await ledger.tasks(run.id)) == ["c", "a", "b", "d", "e"]


async def test_a_batch_is_found_by_its_dataset_while_it_is_open(ledger: Ledger) -> None:
    run = await ledger.begin(input_dataset_id="d", run_type=RunType.BATCH)
    reading = await ledger.database.read(lambda connection: runs.open_batch_on(connection, "d"))
    assert reading is not None
    assert reading.id == run.id
    assert await ledger.database.read(lambda connection: runs.open_batch_on(connection, "e")) is None
    assert await listed(ledger, Filter(dataset_id="d")) == [run.id]
    await ledger.journal.rest(run, Changes(), rest(RunStatus.COMPLETED))
    assert await ledger.database.read(lambda connection: runs.open_batch_on(connection, "d")) is None
    assert await listed(ledger, Filter(dataset_id="d")) == [run.id]


async def test_a_child_is_found_by_the_task_that_waits_for_it(ledger: Ledger) -> None:
    owner = await ledger.begin()
    child = await ledger.begin(owner_id=owner.id, owner_path="loop.0.sub")
    found = await ledger.database.read(
        lambda connection: [runs.child_of(connection, owner.id, path) for path in ("loop.0.sub", "sub")]
    )
    assert found == [child, None]


async def test_what_is_not_there_is_none(ledger: Ledger) -> None:
    found = await ledger.database.read(
        lambda connection: [
            runs.get(connection, "x"),
            runs.get_batch(connection, "x"),
            pauses.get(connection, "x"),
            pauses.next_due(connection),
        ]
    )
    assert found == [None] * 4


async def test_the_next_pause_to_run_out_is_known(ledger: Ledger) -> None:
    run = await ledger.begin()
    waiting = [make_pause(run, f"n{n}", due_at=NOON + timedelta(seconds=n)) for n in (2, 1, 3)]
    await ledger.journal.advance(run, Changes(pauses=waiting))
    assert await ledger.database.read(pauses.next_due) == NOON + timedelta(seconds=1)


async def test_batches_are_read_together_with_what_waits_in_them(ledger: Ledger) -> None:
    first, second = await ledger.batch(), await ledger.batch()
    await ledger.paused("ask", owner_id=first.id, row_index=0)
    found = await ledger.database.read(
        lambda connection: runs.get_batches(connection, [first.id, second.id, "x"])
    )
    assert {run_id: batch.paused for run_id, batch in found.items()} == {first.id: 1, second.id: 0}


async def test_events_of_a_group_can_be_read_from_its_middle(ledger: Ledger) -> None:
    run = await ledger.begin()
    await ledger.journal.advance(run, Changes(facts=facts(3, "y")))
    found = await ledger.database.read(lambda connection: events.after(connection, run.id, 2))
    assert [(one.number, one.kind, one.body) for one in found] == [
        (3, "log", {"message": "y1"}),
        (4, "log", {"message": "y2"}),
    ]


async def test_events_are_read_in_portions_without_a_gap(ledger: Ledger) -> None:
    run = await ledger.begin()
    for size in (1, 4, 2, 3):
        await ledger.journal.advance(run, Changes(facts=facts(size)))
    numbers: list[int] = []

    def portion(connection: Connection) -> list[int]:
        last = numbers[-1] if numbers else 0
        return [one.number for one in events.after(connection, run.id, last, limit=2)]

    while found := await ledger.database.read(portion):
        numbers += found
    assert numbers == list(range(1, 12))


@given(st.integers(0, 100), st.lists(st.sampled_from(["run", "task", "log"]), min_size=1, max_size=9))
def test_the_last_event_of_a_group_carries_the_groups_number(before: int, kinds: list[str]) -> None:
    found = events.numbered(before + len(kinds), [{"kind": kind, "n": n} for n, kind in enumerate(kinds)])
    assert [(one.number, one.kind, one.body) for one in found] == [
        (before + 1 + n, kind, {"n": n}) for n, kind in enumerate(kinds)
    ]


async def test_all_that_one_read_sees_is_of_one_moment(ledger: Ledger) -> None:
    run = await ledger.begin()
    loop = asyncio.get_running_loop()

    def look(connection: Connection) -> list[tuple[Run | None, int]]:
        first = runs.get(connection, run.id), len(runs.get_tasks(connection, run.id))
        write = ledger.journal.advance(run, Changes(tasks=[make_task(run, "a")], facts=facts(1)))
        assert asyncio.run_coroutine_threadsafe(write, loop).result() == 2
        return [first, (runs.get(connection, run.id), len(runs.get_tasks(connection, run.id)))]

    before, after = await ledger.database.read(look)
    assert before == after == (run, 0)
    assert set(await ledger.tasks(run.id)) == {"a"}


def of_runs(**wanted: Any) -> Query:
    return lambda connection: lists.newest(connection, Filter(**wanted), limit=10)


#: What is asked often or may grow large, and the index that answers it.
QUERIES: dict[str, tuple[Query, str]] = {
    "all runs": (of_runs(), "ix_runs_listed (run_type=? AND status=?)"),
    "after a cursor": (
        of_runs(before=(NOON, "x")),
        "ix_runs_listed (run_type=? AND status=? AND (start_time,id)<(?,?))",
    ),
    "since": (
        of_runs(since=NOON, until=NOON),
        "ix_runs_listed (run_type=? AND status=? AND start_time>? AND start_time<?)",
    ),
    "of a status": (of_runs(statuses=[RunStatus.FAILED]), "ix_runs_listed (run_type=? AND status=?)"),
    "of a type": (of_runs(run_type=RunType.BATCH), "ix_runs_listed (run_type=? AND status=?)"),
    "that are open": (of_runs(statuses=[RunStatus.RUNNING, RunStatus.PAUSED]), "ix_runs_open"),
    "of a workflow": (
        of_runs(workflow_id="w"),
        "ix_runs_listed_by_workflow (workflow_id=? AND run_type=? AND status=?)",
    ),
    "of a workflow after a cursor": (
        of_runs(workflow_id="w", before=(NOON, "x")),
        "ix_runs_listed_by_workflow (workflow_id=? AND run_type=? AND status=? AND (start_time,id)<(?,?))",
    ),
    "of a workflow and a status": (
        of_runs(workflow_id="w", statuses=[RunStatus.FAILED], since=NOON),
        "ix_runs_listed_by_workflow (workflow_id=? AND run_type=? AND status=? AND start_time>?)",
    ),
    "of a parent": (of_runs(parent_run_id="r"), "ix_runs_parents (parent_run_id=?)"),
    "of an origin": (of_runs(origin_id="r"), "ix_runs_origins (origin_id=?)"),
    "of a dataset": (
        of_runs(dataset_id="d", run_type=RunType.BATCH),
        "ix_runs_datasets (input_dataset_id=?)",
    ),
    "tasks": (
        lambda connection: runs.get_tasks_of(connection, ["a", "b"]),
        "sqlite_autoindex_tasks_1 (run_id=?)",
    ),
    "paused rows": (
        lambda connection: runs.get_batches(connection, ["b"]),
        "sqlite_autoindex_batches_1 (run_id=?)",
    ),
    "work": (runs.open_runs, "ix_runs_work"),
    "orphans": (runs.orphans, "sqlite_autoindex_runs_1 (id=?)"),
    "open rows": (
        lambda connection: runs.open_rows(connection, "b", 9),
        "ix_runs_open_children (owner_id=?)",
    ),
    "owned": (lambda connection: runs.open_owned(connection, "b"), "ix_runs_open_children (owner_id=?)"),
    "child": (
        lambda connection: runs.child_of(connection, "b", "p"),
        "ix_runs_children (owner_id=? AND owner_path=?)",
    ),
    "rows": (
        lambda connection: runs.rows_of(connection, "b", 0, 10),
        "ix_runs_rows (owner_id=? AND row_index>?)",
    ),
    "chosen rows": (
        lambda connection: runs.rows_at(connection, "b", [3, 5]),
        "ix_runs_rows (owner_id=? AND row_index=?)",
    ),
    "rows that failed": (
        lambda connection: runs.rows_that(connection, "b", RunStatus.FAILED, 3, 9),
        "ix_runs_rows (owner_id=? AND row_index>?)",
    ),
    "open repeats": (
        lambda connection: runs.open_repeat_of(connection, "r"),
        "ix_runs_origins (origin_id=?)",
    ),
    "waiting rows": (
        lambda connection: pauses.waiting_rows(connection, "b", "ask"),
        "ix_runs_open_children (owner_id=?)",
    ),
    "causes": (
        lambda connection: causes.most_frequent(connection, "b", 9),
        "sqlite_autoindex_causes_1 (run_id=?)",
    ),
    "reading batch": (
        lambda connection: runs.open_batch_on(connection, "d"),
        "ix_runs_datasets (input_dataset_id=?)",
    ),
    "due": (lambda connection: pauses.due(connection, NOON), "ix_pauses_due (due_at>? AND due_at<?)"),
    "next due": (pauses.next_due, "ix_pauses_due (due_at>?)"),
    "pauses of a run": (
        lambda connection: pauses.of_run(connection, "r"),
        "ix_pauses_run_id_pause_time_id (run_id=?)",
    ),
    "waiting": (lambda connection: pauses.waiting_runs(connection, limit=9, offset=0), "ix_pauses_open"),
    "workflows": (
        lambda connection: workflows.newest(connection, limit=9, offset=0),
        "ix_workflows_created_at_id",
    ),
    "newest version": (
        lambda connection: workflows.find_version(connection, "w", None),
        "sqlite_autoindex_versions_2 (workflow_id=?)",
    ),
    "versions": (
        lambda connection: workflows.versions_of(connection, "w", limit=9, offset=0),
        "sqlite_autoindex_versions_2 (workflow_id=?)",
    ),
    "datasets": (lambda connection: datasets.newest(connection, limit=9), "ix_datasets_created_at_id"),
    "output files": (
        lambda connection: datasets.output_files_newest(connection, limit=9),
        "ix_output_files_created_at_id",
    ),
    "events": (
        lambda connection: events.after(connection, "r", 3),
        "sqlite_autoindex_events_1 (run_id=? AND seq>?)",
    ),
    "latest events": (
        lambda connection: events.latest(connection, "r", 9),
        "sqlite_autoindex_events_1 (run_id=?)",
    ),
}

#: What is sorted is little: the tasks of a page of runs, the rows of a batch that are open, its causes of failure; and
#: of each part of a list as many runs as are shown.
SORTED = {"tasks", "open rows", "causes"}


async def plan_of(ledger: Ledger, query: Query) -> list[str]:
    """How SQLite answers the query."""
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            seen.append((statement, parameters))

    event.listen(ledger.database.engine, "before_cursor_execute", note)
    await ledger.database.read(query)
    event.remove(ledger.database.engine, "before_cursor_execute", note)
    return await ledger.database.read(
        lambda connection: [
            row[3]
            for statement, parameters in seen
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    )


@pytest.mark.parametrize("name", list(QUERIES))
async def test_no_list_reads_or_sorts_a_whole_table(sqlite_url: str, name: str) -> None:
    query, index = QUERIES[name]
    ledger = Ledger(sqlite_url)
    plan = await plan_of(ledger, query)
    await ledger.close()
    assert any(line.endswith(f"USING INDEX {index}") for line in plan)
    scans = [line for line in plan if line.startswith("SCAN") and "USING INDEX" not in line]
    # The rows of a batch with their children, and the first runs of each part of a list.
    assert all(re.fullmatch(r"SCAN (tree|anon_\d+)", line) for line in scans)
    sorted_ones = {before for before, line in pairwise(plan) if "TEMP B-TREE" in line}
    parts = {before for before in sorted_ones if before.startswith("SCAN anon_")}
    assert bool(sorted_ones - parts) == (name in SORTED)


async def test_a_store_that_is_away_is_said_to_be_unavailable() -> None:
    database = Database("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match="can't be read at the moment") as raised:
        await database.read(lambda connection: runs.get(connection, RunID("x")))
    assert "secret" not in str(raised.value)
    await database.close()


async def test_what_is_wrong_with_a_question_is_no_trouble_of_the_store(ledger: Ledger) -> None:
    def divide(_: Connection) -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        await ledger.database.read(divide)
