"""Records are values: a change makes another one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from rowel.core.records import RunID, Task
from rowel.core.status import TaskStatus

TASK = Task(run_id=RunID("r"), path="a", node_id="a", status=TaskStatus.PENDING)


def test_an_evolved_record_is_what_dataclasses_make_of_it():
    changes = {"status": TaskStatus.RUNNING, "start_time": datetime(2026, 1, 1, tzinfo=UTC)}

    evolved = TASK.evolve(**changes)

    assert evolved == dataclasses.replace(TASK, **changes)
    assert TASK.status is TaskStatus.PENDING


def test_an_evolved_record_stays_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TASK.evolve(attempt=2).attempt = 3


def test_a_field_that_a_record_has_not_is_refused():
    with pytest.raises(TypeError, match="Task has no field 'stauts'"):
        TASK.evolve(stauts=TaskStatus.RUNNING)
