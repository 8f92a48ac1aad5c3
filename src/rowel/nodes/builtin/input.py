"""The node by which a run's inputs come in."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Fields
from rowel.core.schemas import Schema
from rowel.nodes.base import Config, InputProblems, Node
from rowel.nodes.context import Context

#: Fields that Rowel adds to inputs itself; they are lawful whatever the schema says.
_ADDED = frozenset({"files", "loop_history"})


class InputConfig(Config):
    input_schema: dict[str, Any] | str | None = Field(
        default=None,
        description="The fields a run must give: {field: type}. Used where there is no JSON schema.",
    )


class InputNode(Node[InputConfig]):
    """Hands the run's inputs on after checking them by its schema.

    The schema is `output_json_schema`, else `input_schema`, else `output_schema`; without any, everything passes.
    `enforce_schema: false` lifts the check of types, not the one for missing fields. Values pass unconverted.
    """

    category = "Input/Output"
    is_input = True
    pure = True

    def __init__(self, spec: NodeSpec, config: InputConfig) -> None:
        super().__init__(spec, config)
        self._schema = Schema.of(config, "output_json_schema", "input_schema", "output_schema")

    @property
    def input_schema(self) -> Schema | None:
        return self._schema

    def input_problems(self, inputs: Fields) -> InputProblems:
        """Names of missing fields; where none is missing, a sentence for each value of a wrong type."""
        schema = self._schema
        if schema is None:
            return InputProblems()
        missing = tuple(sorted(schema.required - inputs.keys()))
        if missing or not self.config.enforce_schema:
            return InputProblems(missing=missing)
        judged = {
            name: value for name, value in inputs.items() if name not in _ADDED or name in schema.fields
        }
        return InputProblems(wrong=tuple(schema.problems(judged)))

    async def run(self, inputs: Fields, context: Context) -> Fields:
        problems = self.input_problems(inputs)
        if problems:
            missing = [f"field {name!r} is missing" for name in problems.missing]
            raise NodeFailed("; ".join([*missing, *problems.wrong]))
        return inputs
