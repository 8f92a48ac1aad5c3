"""Joining branches of which one ran."""

from __future__ import annotations

from pydantic import Field

from rowel.core.outcomes import Done, Fields, Skip
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context


class CoalesceConfig(Config):
    preferences: list[str] = Field(
        default_factory=list,
        description="Titles of predecessors, best first. Those that are not named come last.",
    )


class CoalesceNode(Node[CoalesceConfig]):
    """Puts out the outputs of the first predecessor that has any, in the order of `preferences`.

    Predecessors that are not named there come after those that are. With no outputs at all the node and all behind
    it are canceled. A preference may be written `id|title`, as the reference's editor does.
    """

    category = "Logic"
    pure = True
    join = "any"

    async def run(self, inputs: Fields, context: Context) -> Done | Skip:
        preferred = (_title_in(preference, inputs) for preference in self.config.preferences)
        for title in (*preferred, *inputs):
            if inputs.get(title) is not None:
                return Done(inputs[title])
        return Skip()


def _title_in(preference: str, inputs: Fields) -> str:
    """The title a preference means: titles may hold a bar themselves, so the whole text is tried first."""
    return preference if preference in inputs else preference.partition("|")[2]
