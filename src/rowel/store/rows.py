"""How records lie in rows: JSON as text, times as microseconds, flags as 0 and 1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping

from rowel.core.outcomes import Fields, Usage
from rowel.core.records import (
    Answer,
    Batch,
    Dataset,
    OutputFile,
    Pause,
    PauseID,
    Receipt,
    Run,
    RunID,
    Task,
    Version,
    VersionID,
    Workflow,
    WorkflowID,
)
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus
from rowel.core.stepcache import CacheEntry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Row = RowMapping

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def to_text(value: Any) -> str | None:
    """JSON text, ASCII only, so that lone surrogates and NUL survive; None stays None."""
    return None if value is None else _encode(value)


def from_text(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def to_number(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // MICROSECOND


def to_moment(number: int) -> datetime:
    return EPOCH + number * MICROSECOND


def from_number(number: int | None) -> datetime | None:
    return None if number is None else to_moment(number)


def run_values(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "version_id": run.version_id,
        "version": run.version,
        "run_type": run.run_type.value,
        "status": run.status.value,
        "start_time": to_number(run.start_time),
        "end_time": to_number(run.end_time),
        "message": to_text(run.message),
        "parent_run_id": run.parent_run_id,
        "owner_id": run.owner_id,
        "owner_path": run.owner_path,
        "row_index": run.row_index,
        "partial": to_text(run.partial),
        "input_dataset_id": run.input_dataset_id,
        "output_file_id": run.output_file_id,
        "origin_id": run.origin_id,
        "has_work": int(run.has_work),
        "epoch": run.epoch,
        "seq": run.seq,
        "signals": run.signals,
        "recoveries": run.recoveries,
        "is_fresh": 1 if run.is_fresh else None,
        "initial_inputs": to_text(run.initial_inputs),
    }


def run_from_row(row: Row) -> Run:
    values = {str(name): value for name, value in row.items()}
    return Run(
        **{
            **values,
            "run_type": RunType(row["run_type"]),
            "status": RunStatus(row["status"]),
            "start_time": to_moment(row["start_time"]),
            "end_time": from_number(row["end_time"]),
            "message": from_text(row["message"]),
            "partial": from_text(row["partial"]),
            "initial_inputs": from_text(row["initial_inputs"]),
            "has_work": bool(row["has_work"]),
            "is_fresh": bool(row["is_fresh"]),
        }
    )


def task_values(task: Task) -> dict[str, Any]:
    """All but what it received and put out."""
    return {
        "run_id": task.run_id,
        "path": task.path,
        "node_id": task.node_id,
        "parent_path": task.parent_path,
        "status": task.status.value,
        "attempt": task.attempt,
        "start_time": to_number(task.start_time),
        "end_time": to_number(task.end_time),
        "retry_at": to_number(task.retry_at),
        "routes": None if task.routes is None else to_text(sorted(task.routes)),
        "error": None if task.error is None else to_text(task.error),
        "usage": None if task.usage is None else to_text(_usage_values(task.usage)),
        "logs": to_text(task.logs) if task.logs else None,
        "is_cached": 1 if task.is_cached else None,
    }


def entry_values(entry: CacheEntry) -> dict[str, Any]:
    outputs = to_text(entry.outputs)
    return {
        "key": entry.key,
        "size": len(outputs or ""),
        "expires_at": to_number(entry.expires_at),
        "outputs": outputs,
    }


def _usage_values(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
        "requests": usage.requests,
    }


def task_from_row(row: Mapping[Any, Any], inputs: Fields | None, outputs: Fields | None) -> Task:
    usage, routes = from_text(row["usage"]), from_text(row["routes"])
    return Task(
        run_id=RunID(row["run_id"]),
        path=row["path"],
        node_id=row["node_id"],
        parent_path=row["parent_path"],
        status=TaskStatus(row["status"]),
        attempt=row["attempt"],
        inputs=inputs,
        outputs=outputs,
        routes=None if routes is None else frozenset(routes),
        error=from_text(row["error"]),
        start_time=from_number(row["start_time"]),
        end_time=from_number(row["end_time"]),
        retry_at=from_number(row["retry_at"]),
        usage=None if usage is None else Usage(**usage),
        logs=tuple(from_text(row["logs"]) or ()),
        is_cached=bool(row["is_cached"]),
    )


def pause_values(pause: Pause) -> dict[str, Any]:
    return {
        "id": pause.id,
        "run_id": pause.run_id,
        "path": pause.path,
        "node_id": pause.node_id,
        "is_open": int(pause.is_open),
        "message": to_text(pause.message),
        "form": to_text(pause.form),
        "assignees": to_text(pause.assignees),
        "holds_all": int(pause.holds_all),
        "pause_time": to_number(pause.pause_time),
        "due_at": to_number(pause.due_at),
        "on_timeout": pause.on_timeout,
        "input_data": to_text(pause.input_data),
        "resume_time": to_number(pause.resume_time),
        "resume_user_id": to_text(pause.resume_user_id),
        "resume_action": pause.resume_action.value if pause.resume_action else None,
        "resume_inputs": to_text(pause.resume_inputs),
        "comments": to_text(pause.comments),
    }


def pause_from_row(row: Row) -> Pause:
    action = row["resume_action"]
    return Pause(
        id=PauseID(row["id"]),
        run_id=RunID(row["run_id"]),
        path=row["path"],
        node_id=row["node_id"],
        is_open=bool(row["is_open"]),
        message=from_text(row["message"]),
        form=from_text(row["form"]),
        assignees=tuple(from_text(row["assignees"])),
        holds_all=bool(row["holds_all"]),
        pause_time=to_moment(row["pause_time"]),
        due_at=from_number(row["due_at"]),
        on_timeout=row["on_timeout"],
        input_data=from_text(row["input_data"]),
        resume_time=from_number(row["resume_time"]),
        resume_user_id=from_text(row["resume_user_id"]),
        resume_action=None if action is None else PauseAction(action),
        resume_inputs=from_text(row["resume_inputs"]),
        comments=from_text(row["comments"]),
    )


def workflow_values(workflow: Workflow) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "name": to_text(workflow.name),
        "description": to_text(workflow.description),
        "definition": to_text(workflow.definition),
        "definition_hash": workflow.definition_hash,
        "facts": to_text(workflow.facts),
        "created_at": to_number(workflow.created_at),
        "updated_at": to_number(workflow.updated_at),
    }


def workflow_from_row(row: Row) -> Workflow:
    return Workflow(
        id=WorkflowID(row["id"]),
        name=from_text(row["name"]),
        description=from_text(row["description"]),
        definition=from_text(row["definition"]),
        definition_hash=row["definition_hash"],
        facts=from_text(row["facts"]),
        created_at=to_moment(row["created_at"]),
        updated_at=to_moment(row["updated_at"]),
    )


def version_values(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "workflow_id": version.workflow_id,
        "version": version.version,
        "name": to_text(version.name),
        "description": to_text(version.description),
        "definition": to_text(version.definition),
        "definition_hash": version.definition_hash,
        "created_at": to_number(version.created_at),
        "updated_at": to_number(version.updated_at),
    }


def version_from_row(row: Row) -> Version:
    return Version(
        id=VersionID(row["id"]),
        workflow_id=WorkflowID(row["workflow_id"]),
        version=row["version"],
        name=from_text(row["name"]),
        description=from_text(row["description"]),
        definition=from_text(row["definition"]),
        definition_hash=row["definition_hash"],
        created_at=to_moment(row["created_at"]),
        updated_at=to_moment(row["updated_at"]),
    )


def dataset_values(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": to_text(dataset.name),
        "description": to_text(dataset.description),
        "filename": to_text(dataset.filename),
        "format": dataset.format,
        "key": dataset.key,
        "columns": to_text(dataset.columns),
        "rows": dataset.rows,
        "size": dataset.size,
        "offsets": to_text(dataset.offsets),
        "created_at": to_number(dataset.created_at),
        "updated_at": to_number(dataset.updated_at),
    }


def dataset_from_row(row: Row) -> Dataset:
    return Dataset(
        id=row["id"],
        name=from_text(row["name"]),
        description=from_text(row["description"]),
        filename=from_text(row["filename"]),
        format=row["format"],
        key=row["key"],
        columns=tuple(from_text(row["columns"])),
        rows=row["rows"],
        size=row["size"],
        offsets=tuple(from_text(row["offsets"])),
        created_at=to_moment(row["created_at"]),
        updated_at=to_moment(row["updated_at"]),
    )


def output_file_values(file: OutputFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "run_id": file.run_id,
        "file_name": file.file_name,
        "key": file.key,
        "is_ready": int(file.is_ready),
        "created_at": to_number(file.created_at),
        "updated_at": to_number(file.updated_at),
    }


def output_file_from_row(row: Row) -> OutputFile:
    return OutputFile(
        id=row["id"],
        run_id=RunID(row["run_id"]),
        file_name=row["file_name"],
        key=row["key"],
        is_ready=bool(row["is_ready"]),
        created_at=to_moment(row["created_at"]),
        updated_at=to_moment(row["updated_at"]),
    )


def receipt_values(receipt: Receipt) -> dict[str, Any]:
    return {
        "key": receipt.key,
        "fingerprint": receipt.fingerprint,
        "run_id": receipt.run_id,
        "created_at": to_number(receipt.created_at),
        "status": None if receipt.answer is None else receipt.answer.status,
        "answer": None if receipt.answer is None else receipt.answer.text,
    }


def receipt_from_row(row: Row) -> Receipt:
    return Receipt(
        key=row["key"],
        fingerprint=row["fingerprint"],
        run_id=RunID(row["run_id"]),
        created_at=to_moment(row["created_at"]),
        answer=None if row["answer"] is None else Answer(row["status"], row["answer"]),
    )


def batch_values(batch: Batch) -> dict[str, Any]:
    return {
        "run_id": batch.run_id,
        "dataset_id": batch.dataset_id,
        "total": batch.total,
        "cursor": batch.cursor,
        "window": batch.window,
        "completed": batch.completed,
        "failed": batch.failed,
        "canceled": batch.canceled,
        "options": to_text(dict(batch.options)),
        "input_tokens": batch.input_tokens,
        "output_tokens": batch.output_tokens,
        "cost_nano": batch.cost_nano,
        "selection": to_text(batch.selection),
        "canary": batch.canary,
    }


def batch_from_row(row: Row) -> Batch:
    """`paused` and `running` are counted in the same statement."""
    return Batch(
        **{
            **{str(name): value for name, value in row.items()},
            "options": from_text(row["options"]),
            "selection": _ranges(row["selection"]),
        }
    )


@lru_cache(maxsize=32)
def _ranges(text: str | None) -> tuple[tuple[int, int], ...] | None:
    """A selection, which may be long, never changes and is read often."""
    return None if text is None else tuple((first, last) for first, last in from_text(text))
