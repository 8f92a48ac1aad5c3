"""Batches: how they stand, changing how they go on, running rows again, deciding about many rows."""

from __future__ import annotations

from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.queries import Start
from rowel.api.refusals import refusals
from rowel.api.rendering import batch_response, run_response, verdict_response
from rowel.api.repeats import REPEATABLE, RepeatOf
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import (
    BatchChangeRequest,
    BatchResponse,
    RedriveRequest,
    RowDecisionRequest,
    RowDecisionResponse,
    RowsOfCause,
    RunResponse,
)
from rowel.core.status import PauseAction
from rowel.engine.redrives import Kind, Redrive
from rowel.engine.rowdecisions import Wish
from rowel.engine.workflows import KEEP

router = resource("batches")


@router.get("/run/{run_id}/batch/", response_model=BatchResponse)
async def get_batch(run_id: str, engine: EngineOf) -> Response:
    """How a batch stands: counts, rate, cost, and why rows failed. 404 for a run that is no batch."""
    return answer(batch_response(await engine.get_batch(run_id)))


@router.patch("/run/{run_id}/batch/", response_model=BatchResponse, responses=refusals(409))
async def change_batch(run_id: str, body: BatchChangeRequest, engine: EngineOf) -> Response:
    """Change how many rows may be in flight and how many may fail, while the batch goes on."""
    threshold = KEEP if "failure_threshold" not in body.model_fields_set else None
    standing = await engine.adjust_batch(
        run_id,
        mini_batch_size=body.mini_batch_size,
        failure_threshold=body.failure_threshold.model_dump() if body.failure_threshold else threshold,
    )
    return answer(batch_response(standing))


@router.post(
    "/run/{run_id}/batch/redrive/",
    response_model=RunResponse,
    responses={**REPEATABLE, **refusals(400, 409, 429)},
)
async def redrive_batch(
    run_id: str, body: RedriveRequest, start: Start, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Run rows of an ended batch again, as a new batch whose output holds all rows. The old one stays as it ended."""
    match body.rows:
        case RowsOfCause():
            wish = Redrive(cause=body.rows.cause, version=body.version, fresh=start.fresh)
        case str():
            wish = Redrive(rows=Kind(body.rows), version=body.version, fresh=start.fresh)
        case _:
            wish = Redrive(rows=body.rows, version=body.version, fresh=start.fresh)
    return await repeat.answer(
        lambda once: engine.redrive_batch(run_id, wish, once=once),
        lambda seen: answer(run_response(seen, engine.now())),
        asked=start.asked,
    )


@router.post(
    "/run/{run_id}/batch/decide/",
    response_model=RowDecisionResponse,
    responses={**REPEATABLE, **refusals(409)},
)
async def decide_rows(run_id: str, body: RowDecisionRequest, engine: EngineOf, repeat: RepeatOf) -> Response:
    """Answer the pauses of many rows alike. Each row is decided by itself: what is refused stops no other."""
    wish = Wish(
        node_id=body.node_id,
        action=PauseAction(body.action),
        inputs=body.inputs,
        user_id=body.user_id,
        comments=body.comments,
        rows=body.rows,
        except_rows=body.except_rows or (),
    )
    return await repeat.answer(
        lambda once: engine.decide_rows(run_id, wish, once=once),
        lambda verdict: answer(verdict_response(verdict)),
        in_steps=True,
    )
