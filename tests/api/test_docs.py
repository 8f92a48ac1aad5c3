"""`docs/api.md` is true: it names every route, and every route that it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_type_hints

import pytest
from fastapi.routing import APIRoute

from rowel.api import schemas
from rowel.api.http import RESOURCES
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text()
HEADING = re.compile(r"^### `([A-Z]+) (/\S*)`$", re.MULTILINE)
SHAPES = [
    schemas.RunResponse, schemas.TaskResponse, schemas.WorkflowResponse, schemas.WorkflowVersion,
    schemas.PauseHistory, schemas.PausedWorkflow, schemas.DatasetResponse, schemas.OutputFileResponse,
    schemas.FileResponse, schemas.TemplateResponse, schemas.OutputVariable, schemas.TaskUsage,
    schemas.DefinitionProblem, schemas.RerunPlan, schemas.PlannedNode, schemas.BatchResponse,
    schemas.FailureCause, schemas.Threshold, schemas.RowDecisionResponse, schemas.RefusedRow,
    schemas.PruneResponse,
]  # fmt: skip


def routes() -> Iterator[tuple[str, str]]:
    for resource in RESOURCES:
        for route in resource.router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, route.path.replace(":path}", "}")) for method in route.methods)


def sections() -> dict[tuple[str, str], str]:
    """The text below each route's heading."""
    parts = HEADING.split(PAGE)[1:]
    return {(parts[at], parts[at + 1]): parts[at + 2] for at in range(0, len(parts), 3)}


def test_every_route_is_documented_and_nothing_else() -> None:
    assert set(sections()) == set(routes())


def test_every_route_has_an_example_of_its_own() -> None:
    for (_, path), text in sections().items():
        example = re.sub(r"\{\w+\}", lambda _: r"\$\w+", path)
        assert re.search(rf'curl [^\n]*\$R{example}["?\s`]', text), path


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_field_of_an_answer_is_named(shape: type) -> None:
    listed = [set(re.findall(r"\w+", braces)) for braces in re.findall(r"\{([^{}]+)\}", PAGE)]
    assert set(get_type_hints(shape)) in listed


def test_every_variable_of_a_query_is_named() -> None:
    for resource in RESOURCES:
        for route in resource.router.routes:
            assert isinstance(route, APIRoute)
            for parameter in route.dependant.query_params:
                fields = getattr(parameter.field_info.annotation, "model_fields", {parameter.alias: None})
                missing = [name for name in fields if not re.search(rf"\b{name}\b", PAGE)]
                assert missing == [], route.path
