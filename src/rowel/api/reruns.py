"""Repeating runs that have ended."""

from __future__ import annotations

from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.queries import Start
from rowel.api.refusals import refusals
from rowel.api.rendering import plan_response, run_response
from rowel.api.repeats import REPEATABLE, RepeatOf
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import RerunPlan, RerunRequest, RunResponse
from rowel.engine.reruns import Order

router = resource("runs")


@router.post(
    "/run/{run_id}/rerun/",
    response_model=RunResponse | RerunPlan,
    responses={**REPEATABLE, **refusals(400, 409, 429)},
)
async def rerun(
    run_id: str, body: RerunRequest, start: Start, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Repeat an ended run as a new one that reuses outputs; with `dry_run` only say what would run."""
    order = Order(
        from_nodes=body.from_nodes or (),
        edits=body.edits or {},
        initial_inputs=body.initial_inputs,
        version=body.version,
        fresh=start.fresh,
    )
    if body.dry_run:
        return answer(plan_response(await engine.plan_rerun(run_id, order)))
    return await repeat.answer(
        lambda once: engine.rerun(run_id, order, once=once),
        lambda seen: answer(run_response(seen, engine.now())),
        asked=start.asked,
    )
