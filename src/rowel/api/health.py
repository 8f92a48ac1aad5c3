"""Whether the server lives, and whether it takes work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import HealthResponse
from rowel.core.errors import Unavailable

router = resource("health")


@router.get("/health/live", response_model=HealthResponse)
async def get_liveness() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


@router.get("/health/ready", response_model=HealthResponse)
async def get_readiness(request: Request, engine: EngineOf) -> Response:
    """The store takes writes, a worker is alive where workers move the runs, and the server is not about to end; else
    503 says why."""
    trouble = await engine.trouble()
    if request.app.state.closing.is_set():
        trouble = "The server is shutting down."
    if trouble is not None:
        raise Unavailable(trouble)
    return answer({"status": "ok"})
