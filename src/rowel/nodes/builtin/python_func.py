"""The author's own Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, NodeFailed, Problem
from rowel.core.outcomes import Fields
from rowel.core.schemas import Schema
from rowel.nodes.base import Config, Node
from rowel.nodes.clients.sandbox import syntax_problem
from rowel.nodes.context import Context, Services

_CODE_LIMIT = 1024 * 1024


class PythonFuncConfig(Config):
    code: str = Field(
        default="",
        description="The body of a function over input_model. It reads input_model.title.field and returns an object.",
    )


class PythonFuncNode(Node[PythonFuncConfig]):
    """Runs Python in a sandbox, without files, network or environment.

    Its outputs are the object that the code returns. What the code prints is kept with the task.
    """

    category = "Code"
    default_timeout_s = 30.0
    bounds_its_own_time = True

    def __init__(self, spec: NodeSpec, config: PythonFuncConfig) -> None:
        super().__init__(spec, config)
        self._schema = (
            Schema.of(config, "output_json_schema", "output_schema") if config.enforce_schema else None
        )

    @classmethod
    def problems(cls, spec: NodeSpec, config: PythonFuncConfig) -> Iterable[Problem]:
        if message := _problem(config.code):
            yield Problem(message, spec.id, "code")

    async def inspect(self, services: Services) -> Mapping[str, Any]:
        """Which engine will run the code: `{"sandbox": "monty"}` or `{"sandbox": "cpython"}`."""
        try:
            return {"sandbox": await services.sandbox.inspect(self.config.code)}
        except Invalid as error:
            raise Invalid(f"code: {error.message}") from None

    async def run(self, inputs: Fields, context: Context) -> Fields:
        outputs = await context.services.sandbox.call(
            self.config.code, inputs, context.timeout_s, log=context.log
        )
        if self._schema is not None and (problems := self._schema.problems(outputs)):
            raise NodeFailed(f"the code's result doesn't fit the output schema: {'; '.join(problems)}")
        return outputs


def _problem(code: str) -> str | None:
    if "\0" in code:
        return "code must not contain NUL characters"
    if len(code.encode("utf-8", "surrogatepass")) > _CODE_LIMIT:
        return f"code is larger than {_CODE_LIMIT // 1024} KiB"
    return syntax_problem(code)
