"""What the client makes of answers, without a server."""

from __future__ import annotations

import pytest

from rowel.client.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    RunFailed,
    ServerBusy,
    ServerFailed,
    UnexpectedAnswer,
)
from rowel.client.messages import Answer, path
from rowel.client.models import Event, Run, Workflow
from rowel.client.progress import progress_of
from rowel.client.streams import EventReader
from rowel.client.waiting import pauses

RUN = {
    "id": "r1",
    "workflow_id": "w1",
    "status": "FAILED",
    "start_time": "2026-01-02T03:04:05+00:00",
    "workflow_version": {"version": 3},
    "message": "Node 'a' failed: no",
    "tasks": [{"id": "r1.a", "run_id": "r1", "node_id": "a", "status": "FAILED", "error": "no"}],
    "new_field": 1,
}


def test_a_run_is_read_from_its_wire_form_and_keeps_what_it_does_not_know() -> None:
    run = Run.from_wire(RUN)
    assert (run.id, run.status, run.workflow_version, run.start_time.year) == ("r1", "FAILED", 3, 2026)
    assert run.extra == {"new_field": 1}
    assert run.failed_task is run.tasks[0]


@pytest.mark.parametrize(
    "wire", [{}, {**RUN, "status": "ODD"}, {**RUN, "start_time": "yesterday"}, {**RUN, "tasks": 1}]
)
def test_what_is_no_run_is_an_unexpected_answer(wire: dict[str, object]) -> None:
    with pytest.raises(UnexpectedAnswer, match="not a valid Run"):
        Run.from_wire(wire)


def test_a_workflow_without_description_has_none() -> None:
    wire = {"id": "w", "name": "n", "definition": {}, "description": None}
    assert Workflow.from_wire(wire).description is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (404, NotFound),
        (409, Conflict),
        (422, InvalidRequest),
        (429, ServerBusy),
        (503, ServerBusy),
        (500, ServerFailed),
    ],
)
def test_each_refusal_has_its_kind(status: int, kind: type[Exception]) -> None:
    error = Answer(status=status, body=b'{"detail": "so it is", "code": "word"}').refusal()
    assert type(error) is kind
    assert str(error) == "so it is"


def test_a_validation_error_becomes_one_sentence() -> None:
    body = (
        b'{"detail": [{"loc": ["body", "page"], "msg": "too small"}, {"loc": ["query", "x"], "msg": "odd"}]}'
    )
    assert str(Answer(status=422, body=body).refusal()) == "page: too small; query.x: odd"


def test_a_refusal_that_is_no_json_shows_its_beginning() -> None:
    assert "Bad Gateway" in str(Answer(status=502, body=b"<h1>Bad Gateway</h1>").refusal())


def test_a_refusal_with_a_run_is_about_that_run() -> None:
    import json

    error = Answer(
        status=422, body=json.dumps({"detail": "no", "code": "run_failed", "run": RUN}).encode()
    ).refusal()
    assert isinstance(error, RunFailed)
    assert error.run.id == "r1"


def test_ids_in_paths_are_quoted() -> None:
    assert path("run", "a/b c") == "/run/a%2Fb%20c/"


def lines(reader: EventReader, text: str) -> list[Event]:
    found = [reader.read(line) for line in text.split("\n")]
    return [event for event in found if event is not None]


def test_events_are_read_from_lines_and_comments_are_passed_over() -> None:
    reader = EventReader()
    text = ': hello\n\nid: 1\nevent: task\ndata: {"a": 1}\n\nid:2\nevent:run\ndata:{"status":"RUNNING"}\n\n'
    first, second = lines(reader, text)
    assert (first.number, first.kind, first.body) == (1, "task", {"a": 1})
    assert second.run_status == "RUNNING"
    assert reader.newest == 2


def test_an_event_that_was_seen_before_is_not_given_again() -> None:
    assert lines(EventReader(after=1), "id: 1\ndata: {}\n\nid: 2\ndata: {}\n\n")[0].number == 2


@pytest.mark.parametrize("text", ["id: x\ndata: {}\n\n", "data: {}\n\n", "id: 1\ndata: {\n\n"])
def test_a_stream_of_something_else_is_an_unexpected_answer(text: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        lines(EventReader(), text)


def test_a_lost_server_is_tried_for_about_a_minute() -> None:
    waits = list(pauses())
    assert waits == sorted(waits)
    assert 50 < sum(waits) < 90


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ((10, 4, 1, 1, 0, 0), (6, 2)),
        ((10, 10, 5, 2, 0, 3), (0, 0)),
        ((10, 4, 2, 0, 8, 0), (0, 0)),
    ],
)
def test_the_counts_of_a_batch_add_up(told: tuple[int, ...], counts: tuple[int, int]) -> None:
    names = ("total", "started", "completed", "failed", "canceled", "paused")
    seen = progress_of(Event(1, "batch", dict(zip(names, told, strict=True))))
    assert (seen.queued, seen.running) == counts
    assert seen.queued + seen.running + seen.finished + seen.paused == seen.total
