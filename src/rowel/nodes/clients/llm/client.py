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
from rowel.nodes.clients.retries import Sleep, persist
from rowel.nodes.context import HTTP, Answer, Blobs, Message, ModelSettings

if TYPE_CHECKING:
    from rowel.nodes.clients.llm.wire import Wire

#: All tries of one call, the first included.
ATTEMPTS = 4


class ModelClient:
    """Implements `LLM` for the providers in `providers.py`, over one pool of connections.

    A call is tried again only after 429 (waiting what `Retry-After` says), 5xx and lost connections. Messages are
    sent as they are, in their order; a JSON schema goes out as the provider's response format or, where it has
    none for all of its models, as an instruction in the system message. Tools are never offered.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        blobs: Blobs,
        http: HTTP,
        *,
        sleep: Sleep = asyncio.sleep,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`environment` holds the providers' keys and addresses; `blobs` and `http` read the files of messages."""
        self._environment = environment
        self._blobs = blobs
        self._http = http
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
        tries = 0

        async def send() -> Answer:
            nonlocal tries
            tries += 1
            return await wire.send(endpoint, turns, settings, json_schema, idempotency_key)

        answer = await persist(send, attempts=self._attempts, sleep=self._sleep)
        return replace(answer, usage=replace(answer.usage, requests=tries))

    async def close(self) -> None:
        """Close all connections."""
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
