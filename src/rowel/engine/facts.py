"""What events say: small, since who wants more reads the run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowel.core.records import Batch, Pause, Run, Task
from rowel.core.status import EventKind, RunStatus
from rowel.store.journal import Fact


def of_run(run: Run, status: RunStatus, message: str | None = None) -> Fact:
    body: dict[str, Any] = {"run_id": run.id, "status": status}
    if message is not None:
        body["message"] = message
    return EventKind.RUN, body


def of_task(task: Task) -> Fact:
    body: dict[str, Any] = {
        "task_id": task.id,
        "node_id": task.node_id,
        "parent_task_id": task.parent_task_id,
        "status": task.status,
    }
    if task.attempt > 1:
        body["attempt"] = task.attempt
    if task.error is not None:
        body["error"] = task.error
    if task.is_cached:
        body["cached"] = True
    return EventKind.TASK, body


def of_logs(task: Task) -> list[Fact]:
    return [
        (EventKind.LOG, {"task_id": task.id, "node_id": task.node_id, "message": line}) for line in task.logs
    ]


def of_pause(pause: Pause) -> Fact:
    body = {
        "pause_id": pause.id,
        "node_id": pause.node_id,
        "message": pause.message,
        "is_open": pause.is_open,
        "action": pause.resume_action,
        "user_id": pause.resume_user_id,
    }
    return EventKind.PAUSE, body


def of_batch(batch: Batch, now: datetime) -> Fact:
    body = {
        "total": batch.total,
        "completed": batch.completed,
        "failed": batch.failed,
        "canceled": batch.canceled,
        "paused": batch.paused,
        "started": batch.begun,
        "time": now.isoformat(),
    }
    return EventKind.BATCH, body
