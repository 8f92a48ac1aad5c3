"""A workflow inside a workflow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem
from rowel.core.outcomes import Done, Expand, Fields, Skip, StartChild
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context
from rowel.nodes.fieldmaps import find_empty_paths, pick


class SubworkflowConfig(Config):
    workflow_id: str | None = Field(default=None, description="Another workflow, run as a child run.")
    version: int | None = Field(default=None, ge=1, description="Its version; without one the latest.")
    input_map: dict[str, str] = Field(
        default_factory=dict,
        description="{field of the subworkflow's input: title.path}. Empty: it gets all that this node received.",
    )
    subworkflow: dict[str, Any] | None = Field(default=None, description="A body of its own: {nodes, links}.")


class SubworkflowNode(Node[SubworkflowConfig]):
    """Runs another workflow as a child run, or a body of its own, and puts out its output node's outputs.

    Where routing left the body's output node out, this node and all behind it are canceled.
    """

    category = "Logic"
    contains = True
    pure = True
    body_unless = "workflow_id"

    @classmethod
    def problems(cls, spec: NodeSpec, config: SubworkflowConfig) -> Iterable[Problem]:
        yield from find_empty_paths(spec, "input_map", config.input_map)
        if config.version is not None and not config.workflow_id:
            yield Problem("is the version of a workflow_id, and there is none", spec.id, "config.version")

    async def run(self, inputs: Fields, context: Context) -> StartChild | Expand:
        given = pick("input_map", self.config.input_map, inputs) if self.config.input_map else inputs
        if self.config.workflow_id:
            return StartChild(self.config.workflow_id, self.config.version, given)
        return Expand(given)

    async def after(self, inputs: Fields, results: Sequence[Fields], context: Context) -> Done | Skip:
        outputs = results[-1].get(context.body_output_id or "")
        return Skip() if outputs is None else Done(outputs)
