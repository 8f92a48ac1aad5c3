"""Records as the models of the client, which `Rowel` answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rowel.client import models
from rowel.client.words import Action, Status
from rowel.core import records
from rowel.core.errors import Invalid
from rowel.engine.engine import Engine
from rowel.engine.redrives import Kind, Redrive
from rowel.engine.reruns import Rerun
from rowel.engine.rowdecisions import Verdict
from rowel.engine.standings import Standing
from rowel.engine.views import RunView


def run_of(seen: RunView, engine: Engine) -> models.Run:
    run = seen.run
    return models.Run(
        id=run.id,
        workflow_id=run.workflow_id,
        workflow_version_id=run.version_id,
        workflow_version=run.version,
        status=Status(run.status),
        start_time=run.start_time,
        end_time=run.end_time,
        run_type=run.run_type,
        initial_inputs=_plain(run.initial_inputs),
        outputs=_plain(seen.outputs),
        tasks=tuple(_task(seen, task) for task in seen.tasks),
        parent_run_id=run.parent_run_id,
        output_file_id=run.output_file_id,
        input_dataset_id=run.input_dataset_id,
        message=run.message,
        duration=seen.duration_s(engine.now()),
        percentage_complete=seen.percentage_complete,
        rerun_of=None if run.output_file_id is not None else run.origin_id,
        redrive_of=run.origin_id if run.output_file_id is not None else None,
    )


def _task(seen: RunView, task: records.Task) -> models.Task:
    return models.Task(
        id=task.id,
        run_id=task.run_id,
        node_id=task.node_id,
        parent_task_id=task.parent_task_id,
        status=Status(task.status),
        inputs=_plain(task.inputs),
        outputs=_plain(task.outputs),
        error=task.error,
        start_time=task.start_time,
        end_time=task.end_time,
        subworkflow=_plain(seen.body(task)),
        subworkflow_output=_plain(seen.body_outputs(task)),
        reused=task.is_reused,
        given=task.is_given,
        cached=task.is_cached,
    )


def plan_of(rerun: Rerun) -> models.RerunPlan:
    return models.RerunPlan(
        rerun_of=rerun.old.run.id,
        version=rerun.pinned.version.version,
        nodes=tuple(
            models.PlannedNode(
                node_id=step.node_id,
                fate=step.fate,
                why=step.why,
                touches_outside=rerun.touches_outside(step.node_id),
            )
            for step in rerun.plan.steps
        ),
    )


def pause_of(pause: records.Pause) -> models.Pause:
    return models.Pause(
        id=pause.id,
        run_id=pause.run_id,
        node_id=pause.node_id,
        pause_time=pause.pause_time,
        pause_message=pause.message,
        input_data=_plain(pause.input_data),
        resume_time=pause.resume_time,
        resume_user_id=pause.resume_user_id,
        resume_action=None if pause.resume_action is None else Action(pause.resume_action),
        comments=pause.comments,
    )


def workflow_of(workflow: records.Workflow) -> models.Workflow:
    return models.Workflow(
        id=workflow.id,
        name=workflow.name,
        definition=dict(workflow.definition),
        description=workflow.description,
        created_at=workflow.created_at,
        updated_at=workflow.updated_at,
    )


def version_of(version: records.Version) -> models.Version:
    return models.Version(
        version=version.version,
        name=version.name,
        definition=dict(version.definition),
        definition_hash=version.definition_hash,
        description=version.description,
        created_at=version.created_at,
        updated_at=version.updated_at,
    )


def dataset_of(dataset: records.Dataset) -> models.Dataset:
    return models.Dataset(
        id=dataset.id,
        name=dataset.name,
        filename=dataset.filename,
        description=dataset.description,
        created_at=dataset.created_at,
        updated_at=dataset.updated_at,
    )


def standing_of(standing: Standing) -> models.Progress:
    batch = standing.batch
    return models.Progress(
        total=batch.total,
        queued=batch.queued,
        running=batch.running,
        completed=batch.completed,
        failed=batch.failed,
        canceled=batch.canceled,
        paused=batch.paused,
        rows_per_s=standing.rows_per_s,
        eta_s=standing.eta_s,
        tokens=standing.tokens,
        cost=standing.cost_usd,
        causes=tuple(_cause(cause) for cause in standing.causes),
        status=Status(standing.run.status),
        mini_batch_size=batch.window,
        failure_threshold=None if batch.threshold is None else batch.threshold.write(),
    )


def redrive_of(
    rows: str | Sequence[int], cause: str | None, version: int | str, *, fresh: bool = False
) -> Redrive:
    """Raises `Invalid` where `rows` is a word that means nothing."""
    if cause is not None:
        return Redrive(cause=cause, version=version, fresh=fresh)
    if not isinstance(rows, str):
        return Redrive(rows=rows, version=version, fresh=fresh)
    if rows not in set(Kind):
        raise Invalid(f"rows: 'failed', 'unfinished' or row numbers, not {rows[:128]!r}.")
    return Redrive(rows=Kind(rows), version=version, fresh=fresh)


def verdict_of(verdict: Verdict) -> models.RowDecisions:
    refusals = (
        models.RefusedRow(
            row_index=refused.row_index, run_id=refused.run_id, detail=refused.message, code=refused.code
        )
        for refused in verdict.refused
    )
    return models.RowDecisions(
        decided=verdict.decided, refused=len(verdict.refused), refusals=tuple(refusals)
    )


def _cause(cause: records.Cause) -> models.Cause:
    return models.Cause(
        signature=cause.signature,
        count=cause.count,
        example_run_id=cause.example_run_id,
        example_row=cause.example_row,
    )


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
