"""A run as people see it: its tasks complete, its outputs and progress counted from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rowel.core.outcomes import Fields, Usage
from rowel.core.records import Batch, Run, Task, Version
from rowel.core.status import TaskStatus
from rowel.engine.programs import Program


@dataclass(frozen=True, kw_only=True)
class RunView:
    """One run with everything that a response shows."""

    run: Run
    version: Version
    #: One task per node (and per node and iteration inside loops), also for nodes that have not begun.
    tasks: Sequence[Task]
    program: Program
    batch: Batch | None = None

    @property
    def outputs(self) -> dict[str, Fields] | None:
        """{node id: outputs} of every COMPLETED top-level node; None for a batch."""
        if self.batch is not None:
            return None
        return outputs_of(self.tasks)

    @property
    def percentage_complete(self) -> float:
        """0 to 100: COMPLETED top-level tasks of all top-level nodes; for a batch the rows that ended."""
        if self.batch is not None:
            done, total = self.batch.settled, self.batch.total
        else:
            top = [task for task in self.tasks if task.parent_path is None]
            done, total = sum(task.status is TaskStatus.COMPLETED for task in top), len(top)
        return 100.0 if not total else 100.0 * done / total

    def duration_s(self, now: datetime) -> float:
        """Seconds from acceptance to the end; to now while the run is open."""
        return max(0.0, ((self.run.end_time or now) - self.run.start_time).total_seconds())

    def body(self, task: Task) -> Fields | None:
        """The definition of the body of a loop or subworkflow task."""
        return self.program.body_definition(task.path)

    def body_outputs(self, task: Task) -> dict[str, list[Fields]] | None:
        """{node id: [outputs of each iteration]} of a container's COMPLETED body tasks; None for other tasks."""
        if self.body(task) is None:
            return None
        found: dict[str, list[Fields]] = {}
        for child in sorted(self.tasks, key=_iteration):
            if child.parent_path == task.path and child.status is TaskStatus.COMPLETED:
                found.setdefault(child.node_id, []).append(child.outputs or {})
        return found


def outputs_of(tasks: Iterable[Task]) -> dict[str, Fields]:
    """{node id: outputs} of the COMPLETED top-level tasks."""
    return {
        task.node_id: task.outputs or {}
        for task in tasks
        if task.parent_path is None and task.status is TaskStatus.COMPLETED
    }


def usage_of(tasks: Iterable[Task]) -> Usage | None:
    """What these tasks have spent in all; None where none of them called a model."""
    spent = [task.usage for task in tasks if task.usage is not None]
    return sum(spent, Usage()) if spent else None


def _iteration(task: Task) -> int:
    parts = task.path.rsplit(".", 2)
    return int(parts[1]) if len(parts) == 3 else -1


def complete(run: Run, known: Sequence[Task], program: Program) -> list[Task]:
    """All tasks of a run: those with a row, and for the other nodes in its scope what they are without one."""
    top = {task.path: task for task in known if task.parent_path is None}
    missing = TaskStatus.CANCELED if run.status.is_final else TaskStatus.PENDING
    scope = program.scope(run)
    tasks = [
        top.get(spec.id) or Task(run_id=run.id, path=spec.id, node_id=spec.id, status=missing)
        for spec in program.graph.specs
        if scope is None or spec.id in scope
    ]
    return [*tasks, *(task for task in known if task.parent_path is not None)]


def view(
    run: Run, version: Version, known: Sequence[Task], program: Program, batch: Batch | None = None
) -> RunView:
    """Put a run together from what the store holds."""
    tasks = [] if batch is not None else complete(run, known, program)
    return RunView(run=run, version=version, tasks=tasks, program=program, batch=batch)
