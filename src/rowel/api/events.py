"""Server-sent events: what happens to one run, without a gap; and to all, for lists and counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rowel.api.errors import mistake
from rowel.api.listeners import Listeners
from rowel.api.options import options_of
from rowel.api.routes import EngineOf, resource
from rowel.api.streams import close, coalesced, frame, kept_alive
from rowel.core.records import Event

router = resource("events")

SSE = "text/event-stream"
LAST_NUMBER = 2**63 - 1

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {SSE: {"schema": {"type": "string"}}}}
}
_Number = Annotated[
    str | None, Query(description="As the header `Last-Event-ID`, for clients that can't set it.")
]
_LastEventID = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The last event that was seen.")
]


@router.get("/run/{run_id}/events/", response_class=Response, responses=_STREAM)
async def stream_run_events(
    run_id: str,
    request: Request,
    engine: EngineOf,
    last_event_id: _Number = None,
    seen: _LastEventID = None,
) -> Response:
    """One event a change of the run, numbered from 1; those after the last one seen, then live until the run ends."""
    after = _number(seen, "header", "Last-Event-ID") or _number(last_event_id, "query", "last_event_id")
    await engine.check_run(run_id)
    listening = engine.listen(run_id, after, options_of(request).heartbeat_s)
    listeners: Listeners = request.app.state.listeners
    return _streaming(listeners.stream(run_id, listening))


@router.get("/events/", response_class=Response, responses=_STREAM)
async def stream_all_events(request: Request, engine: EngineOf) -> Response:
    """What happens to all runs from now on. Of changes of one kind to one run within a moment only the last is told."""
    return _stream(request, _all_frames(coalesced(engine.all_events(), options_of(request).coalesce_s)))


def _number(text: str | None, *place: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LAST_NUMBER):
        raise mistake("must be the number of an event", *place)
    return int(text)


async def _all_frames(events: AsyncIterator[tuple[str, Event]]) -> AsyncIterator[bytes]:
    try:
        async for run_id, event in events:
            yield frame(event.kind, {"run_id": run_id, **event.body})
    finally:
        await close(events)


def _stream(request: Request, frames: AsyncIterator[bytes]) -> Response:
    return _streaming(kept_alive(frames, options_of(request).heartbeat_s, request.app.state.closing))


def _streaming(parts: AsyncIterator[bytes]) -> Response:
    # Proxies that buffer or cache would hold events back.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(parts, headers=headers, media_type=SSE)
