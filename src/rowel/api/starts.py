"""Starting runs, blocking or in the background, and canceling them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.ids import known_id
from rowel.api.queries import Start, Wait
from rowel.api.refusals import Responses, refusals
from rowel.api.rendering import run_response
from rowel.api.repeats import REPEATABLE, RepeatOf
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import (
    BatchRunRequest,
    Outputs,
    PartialRunRequest,
    RunResponse,
    StartRunRequest,
    Unfinished,
)
from rowel.core.errors import InvalidInputs, NotFound
from rowel.core.status import RunStatus, TaskStatus
from rowel.engine.once import Once
from rowel.engine.views import RunView

router = resource("runs")

_BLOCKING: Responses = {
    202: {"model": Unfinished, "description": "The run is PAUSED (`paused`), or the time is up (`running`)."},
    **REPEATABLE,
    **refusals(400, 409, 429),
}
_ACCEPTING: Responses = {**REPEATABLE, **refusals(400, 409, 429)}


@router.post("/wf/{workflow_id}/run/", response_model=Outputs, responses=_BLOCKING)
async def run_workflow(
    workflow_id: str, body: StartRunRequest, wait: Wait, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Run a workflow and answer with the outputs of its nodes."""
    return await repeat.answer(
        lambda once: _run(workflow_id, body, wait, engine, once),
        lambda seen: outcome(seen, engine.now(), seen.outputs),
        asked=wait.asked,
    )


@router.post("/wf/{workflow_id}/runv2/", response_model=RunResponse, responses=_BLOCKING)
async def run_workflow_v2(
    workflow_id: str, body: StartRunRequest, wait: Wait, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Run a workflow and answer with the whole run."""
    return await repeat.answer(
        lambda once: _run(workflow_id, body, wait, engine, once),
        lambda seen: outcome(seen, engine.now(), run_response(seen, engine.now())),
        asked=wait.asked,
    )


@router.post("/wf/{workflow_id}/run_partial/", response_model=Outputs, responses=_BLOCKING)
async def run_partial(
    workflow_id: str, body: PartialRunRequest, wait: Wait, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Run one node and those of its ancestors that have no given outputs."""
    return await repeat.answer(
        lambda once: engine.run_partial(
            workflow_id,
            body.node_id,
            body.initial_inputs,
            body.partial_outputs,
            timeout_s=wait.timeout,
            fresh=wait.fresh,
            once=once,
        ),
        lambda seen: outcome(seen, engine.now(), seen.outputs),
        asked=wait.asked,
    )


@router.post("/wf/{workflow_id}/start_run/", response_model=RunResponse, responses=_ACCEPTING)
async def start_run(
    workflow_id: str, body: StartRunRequest, start: Start, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Accept a run and answer at once: it is kept and will end, whatever happens."""
    parent_run_id = _parent(body.parent_run_id)
    return await repeat.answer(
        lambda once: engine.start(
            workflow_id,
            body.initial_inputs,
            parent_run_id=parent_run_id,
            files=body.files,
            fresh=start.fresh,
            once=once,
        ),
        lambda seen: answer(run_response(seen, engine.now())),
        asked=start.asked,
    )


@router.post("/wf/{workflow_id}/start_batch_run/", response_model=RunResponse, responses=_ACCEPTING)
async def start_batch_run(
    workflow_id: str, body: BatchRunRequest, start: Start, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Accept a batch: one run per row of a dataset. Answers with the parent run."""
    dataset_id = known_id(body.dataset_id, "dataset")
    threshold = None if body.failure_threshold is None else body.failure_threshold.model_dump()
    return await repeat.answer(
        lambda once: engine.start_batch(
            workflow_id,
            dataset_id,
            body.mini_batch_size,
            column_map=body.column_map,
            failure_threshold=threshold,
            canary=body.canary,
            fresh=start.fresh,
            once=once,
        ),
        lambda seen: answer(run_response(seen, engine.now())),
        asked=start.asked,
    )


@router.post("/wf/cancel_workflow/{run_id}/", response_model=RunResponse, responses=refusals(409))
async def cancel_run(run_id: str, engine: EngineOf) -> Response:
    """Cancel an open run with everything it owns. Needs no body."""
    view = await engine.cancel(run_id)
    return answer(run_response(view, engine.now()))


async def _run(
    workflow_id: str, body: StartRunRequest, wait: Wait, engine: EngineOf, once: Once | None
) -> RunView:
    return await engine.run(
        workflow_id,
        body.initial_inputs,
        parent_run_id=_parent(body.parent_run_id),
        files=body.files,
        timeout_s=wait.timeout,
        fresh=wait.fresh,
        once=once,
    )


def _parent(run_id: str | None) -> str | None:
    try:
        return run_id if run_id is None else known_id(run_id, "run")
    except NotFound as error:
        raise InvalidInputs(f"parent_run_id: {error.message}") from None


def outcome(view: RunView, now: datetime, done: Mapping[str, Any] | None) -> Response:
    """What a blocking call answers when its run rests or the time is up; `done` is the answer of a COMPLETED run."""
    run = view.run
    match run.status:
        case RunStatus.COMPLETED:
            return answer(done)
        case RunStatus.PAUSED:
            nodes = " and ".join(
                repr(task.node_id) for task in view.tasks if task.status is TaskStatus.PAUSED
            )
            return _unfinished(
                view, now, 202, "paused", f"Run {run.id} is PAUSED: {nodes} waits for a person."
            )
        case RunStatus.FAILED:
            return _unfinished(view, now, 422, "run_failed", run.message or f"Run {run.id} FAILED.")
        case RunStatus.CANCELED:
            return _unfinished(view, now, 409, "run_canceled", f"Run {run.id} is CANCELED: {run.message}")
        case _:
            detail = f"Run {run.id} is {run.status} and goes on; read it at /run/{run.id}/."
            return _unfinished(view, now, 202, "running", detail)


def _unfinished(view: RunView, now: datetime, status: int, code: str, detail: str) -> Response:
    return answer({"detail": detail, "code": code, "run": run_response(view, now)}, status)
