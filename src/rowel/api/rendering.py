"""Records as the wire shows them. Every field is there; what has no value is null."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowel.api.schemas import (
    BatchResponse,
    DatasetResponse,
    FailureCause,
    FileResponse,
    OutputFileResponse,
    PausedWorkflow,
    PauseHistory,
    RefusedRow,
    RerunPlan,
    RowDecisionResponse,
    RunResponse,
    TaskResponse,
    TaskUsage,
    Threshold,
    WorkflowResponse,
    WorkflowVersion,
)
from rowel.core.outcomes import Fields, Usage
from rowel.core.records import Cause, Dataset, OutputFile, Pause, Task, Version, Workflow
from rowel.core.thresholds import FailureThreshold
from rowel.engine.reruns import Rerun
from rowel.engine.rowdecisions import Refused, Verdict
from rowel.engine.standings import Standing
from rowel.engine.views import RunView
from rowel.files.uploads import Upload

#: How many refused rows one answer lists.
MOST_REFUSALS = 1000


def run_response(view: RunView, now: datetime, *, slim: bool = False) -> RunResponse:
    """A run. `slim` leaves out what may be large."""
    run = view.run
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "workflow_version_id": run.version_id,
        "workflow_version": version_response(view.version, slim=slim),
        "status": run.status,
        "start_time": _time(run.start_time),
        "end_time": _time_or_none(run.end_time),
        "initial_inputs": None if slim else _plain(run.initial_inputs),
        "outputs": None if slim or view.outputs is None else dict(view.outputs),
        "tasks": [task_response(view, task, slim=slim) for task in view.tasks],
        "parent_run_id": run.parent_run_id,
        "run_type": run.run_type,
        "output_file_id": run.output_file_id,
        "input_dataset_id": run.input_dataset_id,
        "message": run.message,
        "duration": view.duration_s(now),
        "percentage_complete": view.percentage_complete,
        "row_index": run.row_index,
        "rerun_of": None if run.output_file_id is not None else run.origin_id,
        "redrive_of": run.origin_id if run.output_file_id is not None else None,
    }


def task_response(view: RunView, task: Task, *, slim: bool = False) -> TaskResponse:
    return {
        "id": task.id,
        "run_id": task.run_id,
        "node_id": task.node_id,
        "parent_task_id": task.parent_task_id,
        "status": task.status,
        "inputs": None if slim else _plain(task.inputs),
        "outputs": None if slim else _plain(task.outputs),
        "error": task.error,
        "start_time": _time_or_none(task.start_time),
        "end_time": _time_or_none(task.end_time),
        "subworkflow": None if slim else _plain(view.body(task)),
        "subworkflow_output": None if slim else _plain(view.body_outputs(task)),
        "attempt": task.attempt,
        "usage": _usage(task.usage),
        "logs": None if slim else list(task.logs),
        "reused": task.is_reused,
        "given": task.is_given,
        "cached": task.is_cached,
    }


def plan_response(rerun: Rerun) -> RerunPlan:
    return {
        "rerun_of": rerun.old.run.id,
        "workflow_id": rerun.old.run.workflow_id,
        "version": rerun.pinned.version.version,
        "nodes": [
            {
                "node_id": step.node_id,
                "fate": step.fate,
                "why": step.why,
                "touches_outside": rerun.touches_outside(step.node_id),
            }
            for step in rerun.plan.steps
        ],
    }


def version_response(version: Version, *, slim: bool = False) -> WorkflowVersion:
    return {
        "id": version.id,
        "version": version.version,
        "name": version.name,
        "description": version.description,
        "definition": None if slim else _plain(version.definition),
        "definition_hash": version.definition_hash,
        "created_at": _time(version.created_at),
        "updated_at": _time(version.updated_at),
    }


def batch_response(standing: Standing) -> BatchResponse:
    batch, threshold = standing.batch, standing.batch.threshold
    return {
        "run_id": standing.run.id,
        "status": standing.run.status,
        "total": batch.total,
        "queued": batch.queued,
        "running": batch.running,
        "completed": batch.completed,
        "failed": batch.failed,
        "canceled": batch.canceled,
        "paused": batch.paused,
        "rows_per_s": standing.rows_per_s,
        "eta_s": standing.eta_s,
        "tokens": standing.tokens,
        "cost": standing.cost_usd,
        "causes": [_cause(cause) for cause in standing.causes],
        "mini_batch_size": batch.window,
        "failure_threshold": None if threshold is None else _threshold(threshold),
    }


def _cause(cause: Cause) -> FailureCause:
    return {
        "signature": cause.signature,
        "count": cause.count,
        "example_run_id": cause.example_run_id,
        "example_row": cause.example_row,
    }


def _threshold(threshold: FailureThreshold) -> Threshold:
    return {"count": threshold.count, "percent": threshold.percent, "after": threshold.after}


def verdict_response(verdict: Verdict) -> RowDecisionResponse:
    """What became of one decision for many rows."""
    return {
        "decided": verdict.decided,
        "refused": len(verdict.refused),
        "refusals": [_refused(refused) for refused in verdict.refused[:MOST_REFUSALS]],
    }


def _refused(refused: Refused) -> RefusedRow:
    return {
        "row_index": refused.row_index,
        "run_id": refused.run_id,
        "detail": refused.message,
        "code": refused.code,
    }


def pause_response(pause: Pause) -> PauseHistory:
    return {
        "id": pause.id,
        "run_id": pause.run_id,
        "node_id": pause.node_id,
        "pause_message": pause.message or None,
        "pause_time": _time(pause.pause_time),
        "resume_time": _time_or_none(pause.resume_time),
        "resume_user_id": pause.resume_user_id,
        "resume_action": pause.resume_action,
        "input_data": _plain(pause.input_data),
        "comments": pause.comments or None,
        "task_id": f"{pause.run_id}.{pause.path}",
        "form": _plain(pause.form),
        "assignees": list(pause.assignees),
        "due_at": _time_or_none(pause.due_at),
        "on_timeout": pause.on_timeout,
        "resume_inputs": _plain(pause.resume_inputs),
    }


def paused_response(view: RunView, pause: Pause, now: datetime) -> PausedWorkflow:
    return {
        "run": run_response(view, now),
        "current_pause": pause_response(pause),
        "workflow": dict(view.version.definition),
    }


def workflow_response(workflow: Workflow) -> WorkflowResponse:
    return {
        "id": workflow.id,
        "name": workflow.name,
        "description": workflow.description,
        "definition": dict(workflow.definition),
        "created_at": _time(workflow.created_at),
        "updated_at": _time(workflow.updated_at),
        "facts": dict(workflow.facts),
    }


def dataset_response(dataset: Dataset) -> DatasetResponse:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "description": dataset.description,
        "filename": dataset.filename,
        "created_at": _time(dataset.created_at),
        "updated_at": _time(dataset.updated_at),
        "format": dataset.format,
        "columns": list(dataset.columns),
        "rows": dataset.rows,
        "size": dataset.size,
    }


def output_file_response(file: OutputFile) -> OutputFileResponse:
    return {
        "id": file.id,
        "file_name": file.file_name,
        "created_at": _time(file.created_at),
        "updated_at": _time(file.updated_at),
        "run_id": file.run_id,
        "is_ready": file.is_ready,
    }


def file_response(upload: Upload) -> FileResponse:
    return {
        "path": upload.path,
        "name": upload.name,
        "size": upload.size,
        "media_type": upload.media_type,
    }


def _usage(usage: Usage | None) -> TaskUsage | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
    }


def _plain(value: Fields | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)


def _time(moment: datetime) -> str:
    return moment.isoformat()


def _time_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
