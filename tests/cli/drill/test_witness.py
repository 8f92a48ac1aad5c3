"""A witness notes what it asked and what it was told, whatever answers; here a stand-in does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from rowel.cli.drill.history import Order
from rowel.cli.drill.witness import Away, NotSent, Witness
from rowel.client.words import Action, Status
from tests.support.providers import Providers, Reply
from tests.support.server import free_port

ORDER = Order(key="chain-1", sample="chain")
START = "/wf/w/start_run/"


@pytest.fixture
def world() -> Iterator[Providers]:
    with Providers() as providers:
        yield providers


@pytest.fixture
def witness(world: Providers) -> Iterator[Witness]:
    with closing(Witness(world.url)) as one:
        one.samples["w"] = "chain"
        yield one


def a_run(status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    """A run as the API shows it."""
    definition = {"nodes": [{"id": "edition", "config": {"values": {"edition": 3}}}], "links": []}
    return {
        "id": "r1",
        "workflow_id": "w",
        "workflow_version": {"version": 2, "definition": definition},
        "status": status,
        "start_time": "2026-11-25T12:00:00+00:00",
        "initial_inputs": {"input_node": {"key": "chain-1"}},
        "percentage_complete": 50.0,
        "tasks": [
            {"id": "r1.a", "run_id": "r1", "node_id": "a", "status": "COMPLETED", "outputs": {"x": 1}},
            {"id": "r1.b.0.c", "run_id": "r1", "node_id": "c", "status": "RUNNING", "parent_task_id": "r1.b"},
        ],
        **more,
    }


def refusal(status: int) -> Reply:
    return Reply(status=status, json={"detail": "No.", "code": "no"})


def test_an_acknowledged_start_is_noted_with_the_run_it_shows(world: Providers, witness: Witness) -> None:
    world.on(START, Reply(json=a_run()))
    assert witness.start(ORDER, "w", {}) == "r1"
    (start,), (run,) = witness.starts, witness.runs
    assert (start.is_taken, start.run_id, start.order) == (True, "r1", ORDER)
    assert start.asked <= start.answered
    assert (run.id, run.sample, run.status, run.key) == ("r1", "chain", Status.RUNNING, "chain-1")
    assert (run.version, run.edition, run.percentage) == (2, 3, 50.0)
    assert [(task.id, task.is_inner, task.outputs) for task in run.tasks] == [
        ("r1.a", False, {"x": 1}),
        ("r1.b.0.c", True, None),
    ]


def test_a_start_whose_answer_was_cut_off_may_have_landed(world: Providers, witness: Witness) -> None:
    world.on(START, Reply(cut=True))
    with pytest.raises(Away):
        witness.start(ORDER, "w", {})
    (start,) = witness.starts
    assert start.status is None
    assert not start.is_taken
    assert start.may_have_landed


@pytest.mark.parametrize(("status", "may_have_landed"), [(503, True), (422, False), (404, False)])
def test_a_refused_start_is_noted_with_its_status(
    world: Providers, witness: Witness, status: int, may_have_landed: bool
) -> None:
    world.on(START, refusal(status))
    if status == 503:
        with pytest.raises(Away):
            witness.start(ORDER, "w", {})
    else:
        assert witness.start(ORDER, "w", {}) is None
    assert [(start.status, start.may_have_landed) for start in witness.starts] == [(status, may_have_landed)]
    assert witness.breakdowns == []


def test_an_answer_of_500_is_a_breakdown(world: Providers, witness: Witness) -> None:
    world.on(START, refusal(500))
    with pytest.raises(Away):
        witness.start(ORDER, "w", {})
    assert [status for _, status in witness.breakdowns] == [500]


def test_what_nobody_heard_is_not_noted() -> None:
    with closing(Witness(f"http://127.0.0.1:{free_port()}")) as witness:
        with pytest.raises(NotSent):
            witness.start(ORDER, "w", {})
        assert witness.starts == []


def test_outputs_that_were_waited_for_are_an_acknowledgement_without_a_name(
    world: Providers, witness: Witness
) -> None:
    world.on("/wf/w/run/", Reply(json={"a": {"x": 1}}))
    assert witness.run(ORDER, "w", {}, 5.0) is None
    (start,) = witness.starts
    assert (start.is_taken, start.waited, start.run_id) == (True, True, None)


@pytest.mark.parametrize(("status", "code"), [(422, "run_failed"), (202, "running")])
def test_a_run_that_did_not_complete_while_it_was_waited_for_is_a_start_that_is_known(
    world: Providers, witness: Witness, status: int, code: str
) -> None:
    told = {"detail": "It did not.", "code": code, "run": a_run("FAILED" if status == 422 else "RUNNING")}
    world.on("/wf/w/run/", Reply(status=status, json=told))
    assert witness.run(ORDER, "w", {}, 5.0) == "r1"
    (start,) = witness.starts
    assert (start.is_taken, start.waited, start.run_id) == (True, False, "r1")


def test_a_run_that_is_shown_no_longer_is_a_breakdown(world: Providers, witness: Witness) -> None:
    world.on("/run/r1/", refusal(404))
    assert witness.look("r1") is None
    assert witness.breakdowns == [("a look at run r1", 404)]


def test_decisions_and_cancels_are_noted_with_what_became_of_them(world: Providers, witness: Witness) -> None:
    world.on("/wf/process_pause_action/r1/", Reply(json=a_run()), refusal(409))
    world.on("/wf/cancel_workflow/r1/", Reply(json=a_run("CANCELED")), refusal(409))
    for user in ("ann", "bob"):
        witness.decide("r1", "ask", Action.APPROVE, user, {"by": user})
        witness.cancel("r1")
    assert [(made.user_id, made.status) for made in witness.decisions] == [("ann", 200), ("bob", 409)]
    assert [cancel.status for cancel in witness.cancels] == [200, 409]
    assert {run.status for run in witness.runs} == {Status.RUNNING, Status.CANCELED}


def test_pauses_are_noted_as_they_are_told(world: Providers, witness: Witness) -> None:
    pause = {
        "id": "p",
        "run_id": "r1",
        "node_id": "ask",
        "pause_message": "Well?",
        "pause_time": "2026-11-25T12:00:00+00:00",
        "input_data": {"a": 1},
        "resume_user_id": "ann",
        "resume_action": "DECLINE",
        "comments": "no",
    }
    world.on("/wf/pause_history/r1/", Reply(json=[pause]))
    witness.look_at_pauses("r1")
    ((shown,),) = [pauses.pauses for pauses in witness.pauses]
    assert (shown.id, shown.message, shown.received) == ("p", "Well?", {"a": 1})
    assert (shown.user_id, shown.action, shown.comments) == ("ann", Action.DECLINE, "no")
