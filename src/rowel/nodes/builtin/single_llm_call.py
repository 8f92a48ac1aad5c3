"""One question to a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem
from rowel.core.outcomes import Fields
from rowel.nodes.base import Node
from rowel.nodes.context import Context
from rowel.nodes.prompts import LLMConfig, Prompt
from rowel.nodes.templated import template_problems

_TEMPLATES = ("system_message", "user_message")


class SingleLLMCallNode(Node[LLMConfig]):
    """Asks a language model once.

    Its outputs have the fields of the output schema; without one, `{output: text}`. A declared schema is asked for
    as the provider's JSON format, or in words where it has none.
    """

    category = "AI"
    touches_outside = True
    default_timeout_s = 600.0

    def __init__(self, spec: NodeSpec, config: LLMConfig) -> None:
        super().__init__(spec, config)
        self._prompt = Prompt(config)

    @classmethod
    def problems(cls, spec: NodeSpec, config: LLMConfig) -> Iterable[Problem]:
        return template_problems(spec, config, _TEMPLATES)

    @classmethod
    def template_fields(cls) -> Sequence[str]:
        return _TEMPLATES

    async def run(self, inputs: Fields, context: Context) -> Fields:
        answer = await self._prompt.ask(self._prompt.messages(inputs), context, context.task_id)
        return self._prompt.reader.read(answer.text)
