import json

import pytest

from rowel.core.status import EventKind, PauseAction, RunStatus, RunType, TaskStatus


@pytest.mark.parametrize("kind", [RunStatus, TaskStatus])
def test_exactly_completed_failed_and_canceled_are_final(kind):
    final = {status.name for status in kind if status.is_final}

    assert final == {"COMPLETED", "FAILED", "CANCELED"}


@pytest.mark.parametrize("kind", [RunStatus, TaskStatus])
def test_the_words_are_the_six_that_clients_know(kind):
    assert {str(status) for status in kind} == {
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "PAUSED",
        "CANCELED",
    }


def test_a_member_is_its_word_in_json_and_in_text():
    assert json.dumps({"status": RunStatus.PAUSED}) == '{"status": "PAUSED"}'
    assert f"the run is {RunStatus.PAUSED}" == "the run is PAUSED"


def test_a_word_gives_its_member():
    assert RunStatus("CANCELED") is RunStatus.CANCELED
    with pytest.raises(ValueError):
        RunStatus("CANCELLED")


def test_types_of_run_and_actions_have_the_words_of_the_wire():
    assert [str(kind) for kind in RunType] == ["interactive", "batch", "partial", "rerun"]
    assert [str(action) for action in PauseAction] == ["APPROVE", "DECLINE", "OVERRIDE"]
    assert [str(kind) for kind in EventKind] == ["run", "task", "pause", "log", "batch"]
