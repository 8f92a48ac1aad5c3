"""What lies in the run already is kept once, and read as if it were not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from rowel.core.records import Run, Task
from rowel.core.status import TaskStatus
from rowel.store import runs
from rowel.store.handovers import tasks_of
from rowel.store.journal import Changes
from tests.support.ledger import Ledger, make_run, make_task

VALUE = {"text": "x" * 100, "n": 1}


async def kept(ledger: Ledger, task: Task) -> tuple[str, str]:
    """The texts in the two columns."""
    query = text("SELECT inputs, outputs FROM tasks WHERE run_id = :run AND path = :path")
    row = await ledger.database.read(
        lambda connection: connection.execute(query, {"run": task.run_id, "path": task.path}).one()
    )
    return row[0], row[1]


async def begin(ledger: Ledger, *tasks: Task, run: Run) -> list[Task]:
    """The tasks as they are read once they were written."""
    assert await ledger.journal.begin(run, Changes(tasks=tasks))
    found = await ledger.database.read(lambda connection: runs.get_tasks(connection, run.id))
    return sorted(found, key=lambda task: [one.path for one in tasks].index(task.path))


async def test_what_a_run_was_given_is_kept_with_the_run(ledger: Ledger) -> None:
    run = make_run(initial_inputs={"start": VALUE})
    start = make_task(run, "start", inputs=dict(VALUE), outputs={})

    assert await begin(ledger, start, run=run) == [start]
    assert await kept(ledger, start) == ("<", "{}")


async def test_what_only_equals_what_the_run_was_given_is_kept_as_it_is(ledger: Ledger) -> None:
    run = make_run(initial_inputs={"start": {"n": 1}})
    start = make_task(run, "start", inputs={"n": 1.0}, outputs={})
    inside = {"path": "loop.0.start", "parent_path": "loop"}
    inner = make_task(run, "start", inputs=(run.initial_inputs or {})["start"], outputs={}).evolve(**inside)

    found = await begin(ledger, start, inner, run=run)

    assert repr(found[0].inputs) == "{'n': 1.0}"
    assert [await kept(ledger, one) for one in (start, inner)] == [('{"n":1.0}', "{}"), ('{"n":1}', "{}")]


async def test_what_is_handed_on_as_it_came_is_kept_once(ledger: Ledger) -> None:
    run = make_run()
    task = make_task(run, "a", inputs=VALUE, outputs=VALUE)

    assert await begin(ledger, task, run=run) == [task]
    assert (await kept(ledger, task))[1] == "="


async def test_inputs_that_others_put_out_are_kept_with_those(ledger: Ledger) -> None:
    run = make_run(initial_inputs={"start": VALUE})
    inputs = dict(VALUE)
    start = make_task(run, "start", inputs=inputs, outputs=inputs)
    passed = {"start": inputs}
    on = make_task(run, "on", inputs=passed, outputs=passed, received_from={"start": "start"})
    last = make_task(
        run, "last", inputs={"On": passed, "start": inputs}, received_from={"On": "on", "start": "start"}
    )

    assert await begin(ledger, start, on, last, run=run) == [start, on, last]
    assert await kept(ledger, start) == ("<", "=")
    assert await kept(ledger, on) == ('@["start"]', "=")
    assert await kept(ledger, last) == ('@{"On":"on","start":"start"}', None)


async def test_a_task_that_is_written_again_reads_alike(ledger: Ledger) -> None:
    run = make_run()
    source = make_task(run, "a", outputs=VALUE)
    waits = make_task(run, "b", inputs={"a": VALUE}, received_from={"a": "a"}).evolve(
        status=TaskStatus.RUNNING
    )
    assert await ledger.journal.begin(run, Changes(tasks=[source, waits]))

    assert await ledger.journal.advance(run, Changes(tasks=[waits.evolve(outputs={"n": 2})])) is not None

    found = await ledger.database.read(lambda connection: runs.get_tasks(connection, run.id))
    assert {task.path: task.inputs for task in found}["b"] == {"a": VALUE}


async def test_the_tasks_of_many_runs_are_told_apart(ledger: Ledger) -> None:
    made = [make_run(initial_inputs={"start": {"n": number}}) for number in range(3)]
    for run in made:
        start = make_task(run, "start", inputs=dict(run.initial_inputs or {})["start"], outputs={})
        await begin(ledger, start, run=run)

    found = await ledger.database.read(
        lambda connection: runs.get_tasks_of(connection, [run.id for run in made])
    )

    assert [found[run.id][0].inputs for run in made] == [{"n": 0}, {"n": 1}, {"n": 2}]


def row(path: str, inputs: str, outputs: str | None) -> dict[str, Any]:
    names = ("parent_path", "start_time", "end_time", "retry_at", "routes", "error", "usage", "logs")
    fixed: dict[str, Any] = {
        "run_id": "r",
        "node_id": path,
        "status": "COMPLETED",
        "attempt": 1,
        "is_cached": 0,
    }
    return {**fixed, **dict.fromkeys(names), "path": path, "inputs": inputs, "outputs": outputs}


def test_a_chain_may_be_as_long_as_a_graph() -> None:
    found = [
        row(f"n{number}", '{"x":1}' if number == 0 else f'@{{"x":"n{number - 1}"}}', "=")
        for number in range(5_000)
    ]

    tasks = tasks_of(found[::-1], {})

    assert tasks[-1].outputs == {"x": 1}
    assert tasks[-3].outputs == {"x": {"x": {"x": 1}}}


def test_a_source_that_is_gone_leaves_nothing() -> None:
    (task,) = tasks_of([row("a", '@["gone"]', "=")], {})

    assert task.inputs == task.outputs == {"gone": {}}
