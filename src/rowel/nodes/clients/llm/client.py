"""`ModelClient`: asks language models by name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.llm.files import Attachment, Turn, read_attachment
from rowel.nodes.clients.llm.providers import Endpoint, find_endpoint
from rowel.nodes.clients.retries import LONGEST_WAIT_S, Sleep, persist
from rowel.nodes.clients.turns import Turns
from rowel.nodes.context import ANYBODY, HTTP, Answer, Blobs, Caller, Message, ModelSettings

if TYPE_CHECKING:
    from rowel.nodes.clients.llm.wire import Wire

#: All tries of one call, the first included.
ATTEMPTS = 4
#: How often a provider may ask one call to wait before that counts as a failed try.
MOST_HOLDS = 20
#: Tokens of an answer, where nobody said how many it may have. What it had is counted afterwards.
ANSWER_TOKENS = 256
#: Characters of a prompt that are about one token.
TOKEN_CHARACTERS = 4


class ModelClient:
    """Implements `LLM` for the providers in `providers.py`, over one pool of connections.

    A call is tried again only after 429, 5xx and lost connections. Where a provider says by `Retry-After` when to come
    again, nobody asks that model before; such a refusal is no failed try, up to 20 of them.

    Messages are sent as they are, in their order; a JSON schema goes out as the provider's response format or, where it
    has none for all of its models, as an instruction in the system message. Tools are never offered.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        blobs: Blobs,
        http: HTTP,
        *,
        turns: Turns | None = None,
        sleep: Sleep = asyncio.sleep,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`environment` holds the providers' keys and addresses; `blobs` and `http` read the files of messages. `turns`
        says when calls may be made; without, whenever the provider allows."""
        self._environment = environment
        self._blobs = blobs
        self._http = http
        self._turns = turns or Turns()
        self._owns_turns = turns is None
        self._sleep = sleep
        self._attempts = attempts
        self._wire: Wire | None = None
        self._loaded: set[str] = set()

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
        """Return the answer of `model` (`provider/name`; a bare name is OpenAI's) with its tokens and cost.

        `usage.requests` counts the tries. The answer's text is as the model gave it: with `json_schema` it was
        asked to be JSON of that schema, which the caller has to check.

        Raises `NodeFailed` where a key is missing (naming its variable), a file can't be read, or the provider
        refuses; retryable for 429, 5xx and lost connections, after 4 tries.
        """
        endpoint = find_endpoint(model, self._environment)
        if json_schema is not None and not endpoint.provider.has_json_schema:
            messages, json_schema = _with_instruction(messages, json_schema), None
        wire = await self._connect(endpoint)
        turns = [Turn(message, await self._attachments(message, endpoint)) for message in messages]
        tries, about = 0, _tokens(messages, settings)

        async def send() -> Answer:
            nonlocal tries
            tries += 1
            async with self._turns.turn(endpoint.name, about, caller) as turn:
                try:
                    answer = await wire.send(endpoint, turns, settings, json_schema, idempotency_key)
                except NodeFailed as failure:
                    turn.asked_s = asked_s(failure)
                    raise
                turn.tokens = answer.usage.input_tokens + answer.usage.output_tokens
                return answer

        async def send_when_allowed() -> Answer:
            for _ in range(MOST_HOLDS):
                try:
                    return await send()
                except NodeFailed as failure:
                    if asked_s(failure) is None:
                        raise
            return await send()

        answer = await persist(
            send_when_allowed, attempts=self._attempts, sleep=self._sleep, repeats=_is_worth_it
        )
        return replace(answer, usage=replace(answer.usage, requests=tries))

    async def close(self) -> None:
        """Close all connections."""
        if self._owns_turns:
            await self._turns.close()
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def _connect(self, endpoint: Endpoint) -> Wire:
        dialect = endpoint.provider.dialect
        if dialect not in self._loaded:
            # In a thread: importing takes a second or more, which other runs must not wait.
            await asyncio.to_thread(_load_library, endpoint)
            self._loaded.add(dialect)
        if self._wire is None:
            from rowel.nodes.clients.llm.wire import Wire

            self._wire = Wire()
        return self._wire

    async def _attachments(self, message: Message, endpoint: Endpoint) -> list[Attachment]:
        by_url = endpoint.provider.fetches_images
        return [
            await read_attachment(file, blobs=self._blobs, http=self._http, images_by_url=by_url)
            for file in message.files
        ]


def _load_library(endpoint: Endpoint) -> None:
    try:
        from rowel.nodes.clients.llm.wire import load_protocol

        load_protocol(endpoint)
    except ImportError as error:
        raise NodeFailed(
            f"{endpoint.provider.name} needs a package that is not installed: {error.name}"
        ) from None


def asked_s(failure: NodeFailed) -> float | None:
    """The seconds for which a provider wants to be left alone by all; None where it did not say, or where that is so
    long that nobody waits for it."""
    is_busy = failure.details.get("status") in (429, 503)
    seconds = failure.retry_after_s
    return seconds if is_busy and seconds is not None and seconds <= LONGEST_WAIT_S else None


def _is_worth_it(failure: NodeFailed) -> bool:
    """Who was asked to wait again and again has waited for long enough."""
    return failure.retryable and asked_s(failure) is None


def _tokens(messages: Sequence[Message], settings: ModelSettings) -> int:
    """About how many tokens a call takes."""
    characters = sum(len(message.content) for message in messages)
    return characters // TOKEN_CHARACTERS + (settings.max_tokens or ANSWER_TOKENS)


def _with_instruction(messages: Sequence[Message], json_schema: Mapping[str, Any]) -> list[Message]:
    """Add the wish for JSON to the system message, or as one; the user's messages stay as they are."""
    wish = (
        "Answer with one JSON object and nothing else: no text before or after it, no code fence."
        f" It must fit this JSON Schema:\n{json.dumps(json_schema, ensure_ascii=False)}"
    )
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content}\n\n{wish}")
        return [first, *messages[1:]]
    return [Message("system", wish), *messages]
