"""What Prometheus reads."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.options import options_of
from rowel.api.routes import resource
from rowel.core.errors import NotFound

router = resource("metrics")

_TEXT: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Prometheus' text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/metrics", response_class=Response, responses=_TEXT)
async def get_metrics(request: Request) -> Response:
    """What this process counts. What it holds is in docs/operations.md."""
    render = options_of(request).metrics
    if render is None:
        raise NotFound("This server counts nothing.")
    return Response(await render(), media_type="text/plain; version=0.0.4; charset=utf-8")
