"""Pauses: which runs wait for a person, what people decided, deciding."""

from __future__ import annotations

from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.queries import OfPause, Pages
from rowel.api.refusals import refusals
from rowel.api.rendering import pause_response, paused_response, run_response
from rowel.api.repeats import REPEATABLE, RepeatOf
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import PausedWorkflow, PauseHistory, ResumeRunRequest, RunResponse
from rowel.core.status import PauseAction

router = resource("pauses")


@router.get("/wf/paused_workflows/", response_model=list[PausedWorkflow])
async def list_paused_workflows(pages: Pages, engine: EngineOf) -> Response:
    """Runs that wait for a person, each with its oldest open pause, newest first."""
    found = await engine.paused(limit=pages.page_size, offset=pages.offset)
    now = engine.now()
    return answer([paused_response(view, pause, now) for view, pause in found])


@router.get("/wf/pause_history/{run_id}/", response_model=list[PauseHistory])
async def list_pause_history(run_id: str, engine: EngineOf) -> Response:
    """All pauses a run ever had, newest first."""
    return answer([pause_response(pause) for pause in await engine.pause_history(run_id)])


@router.post(
    "/wf/process_pause_action/{run_id}/",
    response_model=RunResponse,
    responses={**REPEATABLE, **refusals(409)},
)
async def process_pause_action(
    run_id: str, body: ResumeRunRequest, query: OfPause, engine: EngineOf, repeat: RepeatOf
) -> Response:
    """Approve, decline or override. Of simultaneous actions exactly one is taken, the others get 409."""
    return await repeat.answer(
        lambda once: engine.decide(
            run_id,
            PauseAction(body.action),
            body.inputs,
            body.user_id,
            body.comments,
            node_id=query.node_id,
            once=once,
        ),
        lambda seen: answer(run_response(seen, engine.now())),
        asked=query.node_id,
    )
