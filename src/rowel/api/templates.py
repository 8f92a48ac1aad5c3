"""Templates: workflows that come with Rowel, to begin from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.options import options_of
from rowel.api.refusals import refusals
from rowel.api.rendering import workflow_response
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import TemplateRequest, TemplateResponse, WorkflowResponse
from rowel.core.errors import Invalid, NotFound
from rowel.core.jsontext import parse

router = resource("templates")


@dataclass(frozen=True)
class Template:
    """One workflow's file: what people read about it, and its definition."""

    file_name: str
    name: str
    description: str | None
    features: list[str]
    definition: dict[str, Any]


@router.get("/templates/", response_model=list[TemplateResponse])
async def list_templates(request: Request) -> Response:
    """The templates that this server has."""
    return answer([_template_response(template) for template in await _templates(request)])


@router.post("/templates/instantiate/", response_model=WorkflowResponse, responses=refusals(404))
async def instantiate_template(body: TemplateRequest, request: Request, engine: EngineOf) -> Response:
    """Make a workflow from a template."""
    for template in await _templates(request):
        if template.file_name == body.file_name:
            workflow = await engine.create_workflow(
                body.name or template.name, template.definition, body.description or template.description
            )
            return answer(workflow_response(workflow))
    raise NotFound(f"There is no template {body.file_name[:128]!r}.")


async def _templates(request: Request) -> list[Template]:
    directory = options_of(request).templates
    return [] if directory is None else await asyncio.to_thread(lambda: list(read_templates(directory)))


def read_templates(directory: Path) -> Iterator[Template]:
    """The templates in a directory, by file name: every JSON file that holds a definition."""
    for file in sorted(directory.rglob("*.json")):
        try:
            content = parse(file.read_bytes())
        except Invalid:
            continue
        if isinstance(content, dict) and isinstance(content.get("definition"), dict):
            yield _template(file.relative_to(directory).as_posix(), content)


def _template(file_name: str, content: dict[str, Any]) -> Template:
    told = content.get("metadata")
    about = {**content, **(told if isinstance(told, dict) else {})}
    features = about.get("features")
    return Template(
        file_name=file_name,
        name=str(about.get("name") or Path(file_name).stem),
        description=str(about["description"]) if about.get("description") else None,
        features=[str(feature) for feature in features] if isinstance(features, list) else [],
        definition=content["definition"],
    )


def _template_response(template: Template) -> TemplateResponse:
    return {
        "name": template.name,
        "description": template.description,
        "features": template.features,
        "file_name": template.file_name,
    }
