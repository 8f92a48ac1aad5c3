"""Running a body several times, each time on what the time before gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem
from rowel.core.iterations import Iterations
from rowel.core.outcomes import Done, Expand, Fields, Skip
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context
from rowel.nodes.fieldmaps import find_empty_paths, pick

#: The field of each iteration's inputs that holds {node id: [outputs so far]}.
HISTORY = "loop_history"
_DEEPEST = 64


class ForLoopConfig(Config):
    num_iterations: int = Field(default=1, ge=1, le=10_000, description="How often the body runs.")
    input_map: dict[str, str] = Field(
        default_factory=dict,
        description="{field of the body's input: title.path}. Empty: it gets all that the loop received.",
    )
    output_map: dict[str, str] = Field(
        default_factory=dict,
        description="{field: title.path} over the last iteration. Empty: its output node's outputs.",
    )
    subworkflow: dict[str, Any] | None = Field(default=None, description="The body: {nodes, links}.")


class ForLoopNode(Node[ForLoopConfig]):
    """Runs its body `num_iterations` times.

    The first iteration gets `input_map`, each later one the same object updated with the fields of the output node,
    and all get `loop_history` {node id: [outputs so far]}. The loop puts out the last iteration's output node's
    outputs, unless `output_map` picks others; where routing left that node out, the loop and all behind it are
    canceled.
    """

    category = "Logic"
    contains = True
    pure = True

    @classmethod
    def problems(cls, spec: NodeSpec, config: ForLoopConfig) -> Iterable[Problem]:
        yield from find_empty_paths(spec, "input_map", config.input_map)
        yield from find_empty_paths(spec, "output_map", config.output_map)

    async def run(self, inputs: Fields, context: Context) -> Expand:
        return Expand({**self._first(inputs), HISTORY: Iterations({}, 0)})

    async def after(
        self, inputs: Fields, results: Sequence[Fields], context: Context
    ) -> Expand | Done | Skip:
        if len(results) < self.config.num_iterations:
            return Expand(self._next(inputs, results, context))
        return self._end(results[-1], context)

    def _first(self, inputs: Fields) -> Fields:
        return pick("input_map", self.config.input_map, inputs) if self.config.input_map else inputs

    def _next(self, inputs: Fields, results: Sequence[Fields], context: Context) -> dict[str, Any]:
        """The next iteration's inputs, from what the last one was given where that is at hand: the history of many
        iterations is not put together anew each time."""
        fields, history, new = dict(self._first(inputs)), Iterations({}, 0), results
        last_given = results[-1].get(context.body_input_id or "")
        if last_given is not None and isinstance(last_given.get(HISTORY), Iterations):
            fields, new = dict(last_given), results[-1:]
            history = last_given[HISTORY]
        told = [without_history(result) for result in new]
        for result in told:
            fields.update(result.get(context.body_output_id or "") or {})
        return {**fields, HISTORY: history.and_then(told)}

    def _end(self, last: Fields, context: Context) -> Done | Skip:
        outputs = last.get(context.body_output_id or "")
        if self.config.output_map:
            by_title = {context.body_titles.get(node_id, node_id): found for node_id, found in last.items()}
            return Done(pick("output_map", self.config.output_map, {**(outputs or {}), **last, **by_title}))
        return Skip() if outputs is None else Done(outputs)


def without_history(value: Any, depth: int = _DEEPEST) -> Any:
    """The value without the histories in it: kept, each would hold all those before it and double every time."""
    if depth and isinstance(value, Mapping):
        return {key: without_history(item, depth - 1) for key, item in value.items() if key != HISTORY}
    if depth and isinstance(value, list | tuple):
        return [without_history(item, depth - 1) for item in value]
    return value
