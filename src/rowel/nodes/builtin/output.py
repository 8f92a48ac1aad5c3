"""The node that gives a workflow's result."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem
from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context
from rowel.nodes.fieldmaps import find_empty_paths, pick


class OutputConfig(Config):
    output_map: dict[str, str] = Field(
        default_factory=dict,
        description="{field: title.path}. A title alone takes all outputs of that node. Empty: pass on everything.",
    )


class OutputNode(Node[OutputConfig]):
    """Picks the fields of the workflow's result by `output_map`; without one it passes on everything it received,
    keyed by title. Values keep their types. A path that leads nowhere fails the node."""

    category = "Input/Output"
    is_output = True
    pure = True

    @classmethod
    def problems(cls, spec: NodeSpec, config: OutputConfig) -> Iterable[Problem]:
        return find_empty_paths(spec, "output_map", config.output_map)

    async def run(self, inputs: Fields, context: Context) -> Fields:
        return pick("output_map", self.config.output_map, inputs) if self.config.output_map else inputs
