"""What runs look like, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rowel.cli import looks
from rowel.client.models import Event, Run, Task
from rowel.client.words import Status


def a_run(*tasks: Task, **values: Any) -> Run:
    given = {
        "id": "r",
        "workflow_id": "w",
        "status": Status.RUNNING,
        "start_time": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return Run(**{**given, "tasks": tasks, **values})


def a_task(path: str, status: Status = Status.COMPLETED, parent: str | None = None, **values: Any) -> Task:
    inside = None if parent is None else f"r.{parent}"
    return Task(
        id=f"r.{path}",
        run_id="r",
        node_id=path.split(".")[-1],
        status=status,
        parent_task_id=inside,
        **values,
    )


def drawn(run: Run) -> list[str]:
    with looks.console.capture() as capture:
        looks.console.print(looks.run_tree(run))
    return [line.strip("│├└─ \n") for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        (None, ""),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
    ],
)
def test_a_duration_is_told_as_people_say_it(amount: float | None, told: str) -> None:
    assert looks.seconds(amount) == told


def test_times_are_told_in_utc() -> None:
    assert looks.moment(datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=3)))) == "2026-01-01 22:00:00"


def test_a_long_value_is_cut() -> None:
    assert len(looks.short({"text": "x" * 1000})) == looks.LONGEST
    assert looks.short({"ü": 1}) == '{"ü": 1}'


@pytest.mark.parametrize("word", Status)
def test_every_status_has_its_icon(word: Status) -> None:
    assert f"{word}[/]" in looks.status(word)


def test_a_run_tells_when_it_began_and_ended_and_its_message() -> None:
    ended = datetime(2026, 1, 2, 0, 0, 5, tzinfo=UTC)

    lines = drawn(a_run(end_time=ended, message="Node [x] failed", output_file_id="f"))

    assert lines[1:] == [
        "started 2026-01-02 00:00:00 UTC, ended 2026-01-02 00:00:05",
        "Node [x] failed",
        "output file f",
    ]


def test_an_error_is_told_with_its_trace() -> None:
    lines = drawn(a_run(a_task("work", Status.FAILED, error="KeyError: [a]\nline 2\nline 3")))

    assert lines[-3:] == ["KeyError: [a]", "line 2", "line 3"]


def test_iterations_are_counted_from_1_and_lie_below_their_loop() -> None:
    lines = drawn(
        a_run(a_task("loop"), a_task("loop.0.body", parent="loop"), a_task("loop.1.body", parent="loop"))
    )

    assert [line.split("COMPLETED ")[1].strip() for line in lines[2:]] == ["loop", "body [1]", "body [2]"]


def test_a_task_of_an_unknown_parent_is_shown_all_the_same() -> None:
    assert "orphan" in drawn(a_run(a_task("gone.orphan", parent="gone")))[-1]


def test_of_many_iterations_the_edges_are_shown_and_what_did_not_complete() -> None:
    body = [
        a_task(f"loop.{n}.body", Status.FAILED if n == 500 else Status.COMPLETED, "loop") for n in range(1000)
    ]

    lines = drawn(a_run(a_task("loop"), *body))

    assert len(lines) == 3 + 2 * looks.EDGE + 1 + 1
    assert sum("FAILED body [501]" in line for line in lines) == 1
    assert lines[-1] == f"… and {1000 - 2 * looks.EDGE - 1} more, all COMPLETED"


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("run", {"status": "FAILED", "message": "no [luck]"}, "✗ FAILED run: no [luck]"),
        ("run", {"status": "RUNNING"}, "▶ RUNNING run"),
        (
            "task",
            {"status": "FAILED", "node_id": "a", "error": "KeyError: 1\ntrace"},
            "✗ FAILED a: KeyError: 1",
        ),
        ("task", {"status": "COMPLETED", "node_id": "a"}, "✓ COMPLETED a"),
        ("log", {"node_id": "a", "message": "said [this]"}, "  a: said [this]"),
        ("pause", {"node_id": "a"}, ""),
        ("something new", {}, ""),
    ],
)
def test_an_event_is_one_line(kind: str, body: dict[str, Any], told: str) -> None:
    with looks.console.capture() as capture:
        looks.console.print(looks.event_line(Event(1, kind, body)), end="")

    assert capture.get() == told
