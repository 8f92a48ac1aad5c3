"""A node type for the bench, offered as any package offers one: a step with effects that does next to nothing."""

from __future__ import annotations

from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context


class BenchStepNode(Node[Config]):
    """Adds one to `n`. It is not pure: Rowel writes its start before it runs, and its end before the next begins."""

    async def run(self, inputs: Fields, context: Context) -> Fields:
        (received,) = inputs.values()
        return {"n": received["n"] + 1}
