"""What the client's models say, as a history keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowel.cli.drill.checks.ends import EDITION
from rowel.cli.drill.history import ShownPause, ShownRun, ShownTask
from rowel.client.models import Pause, Run, Task


def run_shown(run: Run, sample: str, key: str | None, asked: float, answered: float) -> ShownRun:
    """A run of a sample; `key` is its order's where its inputs don't say it."""
    fields = (run.initial_inputs or {}).get("input_node") or {}
    version = run.wire.get("workflow_version") or {}
    row_index = run.extra.get("row_index")
    return ShownRun(
        asked=asked,
        answered=answered,
        id=run.id,
        sample=sample,
        status=run.status,
        percentage=run.percentage_complete,
        key=fields.get("key") or key,
        parent_id=run.parent_run_id,
        row_index=row_index if isinstance(row_index, int) else None,
        message=run.message,
        version=run.workflow_version,
        edition=_edition_of(version.get("definition") or {}),
        tasks=tuple(map(_task_shown, run.tasks)),
    )


def _task_shown(task: Task) -> ShownTask:
    return ShownTask(
        id=task.id,
        node_id=task.node_id,
        status=task.status,
        outputs=task.outputs,
        is_inner=task.parent_task_id is not None,
    )


def pause_shown(pause: Pause) -> ShownPause:
    return ShownPause(
        id=pause.id,
        node_id=pause.node_id,
        message=pause.pause_message,
        time=pause.pause_time.isoformat(),
        received=pause.input_data,
        user_id=pause.resume_user_id,
        action=pause.resume_action,
        comments=pause.comments,
    )


def _edition_of(definition: Mapping[str, Any]) -> int | None:
    nodes = (node for node in definition.get("nodes", ()) if node.get("id") == EDITION)
    return next((node["config"]["values"][EDITION] for node in nodes), None)
