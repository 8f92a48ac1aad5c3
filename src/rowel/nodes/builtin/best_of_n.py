"""Several answers to one question, and the best of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import NodeFailed, Problem
from rowel.core.outcomes import Fields
from rowel.nodes.base import Node
from rowel.nodes.context import Context, Message, ModelSettings
from rowel.nodes.prompts import LLMConfig, Prompt
from rowel.nodes.templated import TemplatedFields, template_problems

T = TypeVar("T")

_TEMPLATES = ("system_message", "user_message", "rating_prompt")
_NUMBER = r"-?\d+(?:\.\d+)?"
_OUT_OF = re.compile(rf"({_NUMBER})\s*(?:/|out of)\s*\d")
_FIRST = re.compile(f"({_NUMBER})")
#: Worse than any number a model can give.
_UNRATED = float("-inf")


class BestOfNConfig(LLMConfig):
    samples: int = Field(default=3, ge=1, le=50, description="How many answers are sampled.")
    rating_prompt: str = Field(
        default=(
            "Rate the following response on a scale from 0 to 10, where 0 is poor and 10 is excellent. Consider"
            " relevance, coherence and helpfulness. Respond with only a number."
        ),
        description="The system message of each rating, a template; it must ask for a number.",
    )
    rating_temperature: float = Field(default=0.1, ge=0, le=2)
    rating_max_tokens: int = Field(default=16, ge=1)


class BestOfNNode(Node[BestOfNConfig]):
    """Asks a language model n times at once, has it rate each answer, and keeps the best.

    Of equal ratings the first answer wins. An answer that can't be used is left out, and one whose rating holds no
    number comes last; the node fails only where no answer can be used.
    """

    category = "AI"
    touches_outside = True
    default_timeout_s = 600.0

    def __init__(self, spec: NodeSpec, config: BestOfNConfig) -> None:
        super().__init__(spec, config)
        self._prompt = Prompt(config)
        self._rating = TemplatedFields(config, "rating_prompt")

    @classmethod
    def problems(cls, spec: NodeSpec, config: BestOfNConfig) -> Iterable[Problem]:
        return template_problems(spec, config, _TEMPLATES)

    @classmethod
    def template_fields(cls) -> Sequence[str]:
        return _TEMPLATES

    async def run(self, inputs: Fields, context: Context) -> Fields:
        messages = self._prompt.messages(inputs)
        numbers = range(1, self.config.samples + 1)
        sampled = await _settle(self._sample(messages, context, number) for number in numbers)
        answers = [answer for answer in sampled if not isinstance(answer, NodeFailed)]
        failures = [failure for failure in sampled if isinstance(failure, NodeFailed)]
        if not answers:
            raise failures[0]
        for failure in failures:
            context.log(f"one answer was left out: {failure.message}")
        return answers[0] if len(answers) == 1 else await self._best(answers, inputs, context)

    async def _sample(self, messages: list[Message], context: Context, number: int) -> Fields:
        answer = await self._prompt.ask(messages, context, f"{context.task_id}.sample-{number}")
        return self._prompt.reader.read(answer.text)

    async def _best(self, answers: Sequence[Fields], inputs: Fields, context: Context) -> Fields:
        asked = self._rating.render(inputs)["rating_prompt"]
        rated = await _settle(
            self._rate(asked, answer, context, number) for number, answer in enumerate(answers, start=1)
        )
        ratings = [_UNRATED if isinstance(rating, NodeFailed) else rating for rating in rated]
        best = max(range(len(answers)), key=ratings.__getitem__)
        context.log(
            f"ratings: {', '.join('none' if rating == _UNRATED else f'{rating:g}' for rating in ratings)}"
        )
        return answers[best]

    async def _rate(self, asked: str, answer: Fields, context: Context, number: int) -> float:
        found = await context.services.llm.ask(
            self.config.llm_info.model,
            [Message("system", asked), Message("user", self._prompt.reader.show(answer))],
            ModelSettings(self.config.rating_temperature, self.config.rating_max_tokens),
            idempotency_key=f"{context.task_id}.rating-{number}",
            caller=context.caller,
        )
        context.spend(found.usage)
        return read_rating(found.text)


def read_rating(text: str) -> float:
    """Return the number in a rating (`7`, `8.5/10`, `I give it 9 out of 10`), minus infinity where there is none."""
    found = _OUT_OF.search(text) or _FIRST.search(text)
    return float(found[1]) if found else _UNRATED


async def _settle(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T | NodeFailed]:
    """Await all calls at once and return results and failures in their order."""
    settled = await asyncio.gather(*calls, return_exceptions=True)
    for result in settled:
        if isinstance(result, BaseException) and not isinstance(result, NodeFailed):
            raise result
    return [
        result
        for result in settled
        if isinstance(result, NodeFailed) or not isinstance(result, BaseException)
    ]
