"""Workflows and their versions."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import answer, nothing
from rowel.api.queries import Pages
from rowel.api.rendering import version_response, workflow_response
from rowel.api.routes import EngineOf, LimitsOf, resource
from rowel.api.schemas import OutputVariable, WorkflowRequest, WorkflowResponse, WorkflowVersion
from rowel.core.errors import TooLarge
from rowel.engine.workflows import KEEP

router = resource("workflows")


@router.post("/wf/", response_model=WorkflowResponse)
async def create_workflow(
    body: WorkflowRequest, request: Request, limits: LimitsOf, engine: EngineOf
) -> Response:
    """Check a definition and keep it. Where it can't run the answer lists every problem."""
    await check_size(request, body.definition, limits.definition)
    workflow = await engine.create_workflow(body.name, body.definition, body.description)
    return answer(workflow_response(workflow))


@router.get("/wf/", response_model=list[WorkflowResponse])
async def list_workflows(pages: Pages, engine: EngineOf) -> Response:
    """Workflows, newest first."""
    found = await engine.list_workflows(limit=pages.page_size, offset=pages.offset)
    return answer([workflow_response(workflow) for workflow in found])


@router.get("/wf/{workflow_id}/", response_model=WorkflowResponse)
async def get_workflow(workflow_id: str, engine: EngineOf) -> Response:
    """One workflow as it was saved last."""
    return answer(workflow_response(await engine.get_workflow(workflow_id)))


@router.put("/wf/{workflow_id}/", response_model=WorkflowResponse)
async def update_workflow(
    workflow_id: str, body: WorkflowRequest, request: Request, limits: LimitsOf, engine: EngineOf
) -> Response:
    """Replace a workflow. An absent description stays; runs that have begun keep their version."""
    await check_size(request, body.definition, limits.definition)
    description = body.description if "description" in body.model_fields_set else KEEP
    workflow = await engine.update_workflow(workflow_id, body.name, body.definition, description)
    return answer(workflow_response(workflow))


@router.delete("/wf/{workflow_id}/", status_code=204)
async def delete_workflow(workflow_id: str, engine: EngineOf) -> Response:
    """Take a workflow off the shelf. Its runs stay, and open ones go on."""
    await engine.delete_workflow(workflow_id)
    return nothing()


@router.post("/wf/{workflow_id}/duplicate/", response_model=WorkflowResponse)
async def duplicate_workflow(workflow_id: str, engine: EngineOf) -> Response:
    """Keep a copy under a new id. Needs no body."""
    return answer(workflow_response(await engine.duplicate_workflow(workflow_id)))


@router.get("/wf/{workflow_id}/versions/", response_model=list[WorkflowVersion])
async def list_versions(workflow_id: str, pages: Pages, engine: EngineOf) -> Response:
    """The versions that runs have made, newest first."""
    found = await engine.list_versions(workflow_id, limit=pages.page_size, offset=pages.offset)
    return answer([version_response(version) for version in found])


@router.get("/wf/{workflow_id}/output_variables/", response_model=list[OutputVariable])
async def list_output_variables(workflow_id: str, engine: EngineOf) -> Response:
    """The fields that each node says it puts out, with the names that templates use."""
    return answer(await engine.output_variables(workflow_id))


async def check_size(request: Request, definition: Any, limit: int) -> None:
    """Raise `TooLarge` where the definition's JSON is larger than `limit` bytes."""
    if len(await request.body()) <= limit:
        return
    size = len(
        json.dumps(definition, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    )
    if size > limit:
        raise TooLarge(f"The definition is {size:,} bytes of JSON; the limit is {limit:,}.")
