"""Constants."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context


class StaticValueConfig(Config):
    values: dict[str, Any] = Field(
        default_factory=dict, description="What the node puts out, {field: value}."
    )


class StaticValueNode(Node[StaticValueConfig]):
    """Puts out constants, whatever it receives."""

    category = "Logic"
    pure = True

    async def run(self, inputs: Fields, context: Context) -> Fields:
        return self.config.values
