"""Joining branches that all ran."""

from __future__ import annotations

from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context


class MergeNode(Node[Config]):
    """Waits for all its predecessors and puts out their outputs, keyed by title."""

    category = "Logic"
    pure = True

    async def run(self, inputs: Fields, context: Context) -> Fields:
        return inputs
