"""Retention: what is old goes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import PruneRequest, PruneResponse

router = resource("retention")


@router.post("/prune/", response_model=PruneResponse)
async def prune(body: PruneRequest, engine: EngineOf) -> Response:
    """Remove runs that ended long ago with all that belongs to them, and what nobody refers to any more.

    Works for about ten seconds; while `is_complete` is false, ask again.
    """
    older_than = timedelta(seconds=body.older_than_s)
    return answer(asdict(await engine.prune(older_than, dry_run=body.dry_run)))
