"""Models, and somebody who looks on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from rowel.core.outcomes import Usage
from rowel.nodes.context import ANYBODY, LLM, Answer, Caller, Message, ModelSettings


class Hears(Protocol):
    """Hears of a call that has ended: how many seconds it took, and what it cost; None: it failed."""

    def __call__(self, model: str, seconds: float, usage: Usage | None) -> None: ...


class WatchedModels:
    """Implements `LLM` by another one."""

    def __init__(self, models: LLM, hears: Hears) -> None:
        self._models = models
        self._hears = hears

    async def ask(
        self,
        model: str,
        messages: list[Message],
        settings: ModelSettings,
        *,
        json_schema: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        caller: Caller = ANYBODY,
    ) -> Answer:
        since = time.perf_counter()
        usage = None
        try:
            answer = await self._models.ask(
                model,
                messages,
                settings,
                json_schema=json_schema,
                idempotency_key=idempotency_key,
                caller=caller,
            )
            usage = answer.usage
            return answer
        finally:
            self._hears(model, time.perf_counter() - since, usage)
