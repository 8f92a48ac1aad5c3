"""Node types, for editors."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.routes import EngineOf, resource

router = resource("nodes")


@router.get("/node/supported_types/", response_model=dict[str, list[dict[str, Any]]])
async def list_node_types(engine: EngineOf) -> Response:
    """Every node type by category, with the JSON Schema of its config."""
    return answer(engine.registry.describe())
