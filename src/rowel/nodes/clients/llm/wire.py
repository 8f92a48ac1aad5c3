"""What is left of a call when it meets the model library. Imports Pydantic AI: load it late."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import httpx2
from pydantic import ValidationError
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    UnexpectedModelBehavior,
)
from pydantic_ai.models import Model

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.llm import translation
from rowel.nodes.clients.llm.files import Turn
from rowel.nodes.clients.llm.providers import Endpoint
from rowel.nodes.clients.llm.refusals import explain_status, scrub
from rowel.nodes.context import Answer, ModelSettings

#: Servers of one's own often take no key, yet the libraries insist on one.
_NO_KEY = "none"
_ANSWER_TIMEOUT_S = 600.0
_CONNECT_TIMEOUT_S = 10.0
#: No proxy stands between this machine and itself.
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")
#: What the library raises: its own errors are RuntimeErrors, and an answer it did not expect trips it up.
_RAISED = (RuntimeError, AssertionError, ValueError, TypeError, AttributeError)
#: Model names come from workflows, so there is no end of them.
_MOST_MODELS = 256


class Wire:
    """All models in use, over one pool of connections. Nothing underneath retries on its own."""

    def __init__(self) -> None:
        # Proxies of the environment are used, as operators expect of calls to providers.
        self._connections = httpx2.AsyncClient(
            timeout=httpx2.Timeout(_ANSWER_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=500, max_keepalive_connections=50),
            mounts=dict.fromkeys(_LOOPBACK),
        )
        self._models: dict[Endpoint, Model[Any]] = {}

    async def send(
        self,
        endpoint: Endpoint,
        turns: Sequence[Turn],
        settings: ModelSettings,
        json_schema: Mapping[str, Any] | None,
        idempotency_key: str | None,
    ) -> Answer:
        """Make one request and return its answer.

        Raises `NodeFailed`, retryable for 429, 5xx and lost connections.
        """
        model = self._model(endpoint)
        try:
            response = await model.request(
                [message for turn in turns for message in translation.to_messages(turn)],
                translation.to_settings(endpoint, model.profile, settings, idempotency_key),
                translation.to_parameters(endpoint, json_schema),
            )
        except _RAISED as error:
            raise _failure(error, endpoint) from None
        return translation.to_answer(response, endpoint, wants_json=json_schema is not None)

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.aclose()

    def _model(self, endpoint: Endpoint) -> Model[Any]:
        if endpoint not in self._models:
            if len(self._models) >= _MOST_MODELS:
                self._models.clear()
            open_model = load_protocol(endpoint).open_model
            self._models[endpoint] = open_model(endpoint, endpoint.key or _NO_KEY, self._connections)
        return self._models[endpoint]


def load_protocol(endpoint: Endpoint) -> ModuleType:
    """Import the library that speaks to this endpoint. It may take a second the first time."""
    return importlib.import_module(f"rowel.nodes.clients.llm.{endpoint.provider.dialect}_models")


def _failure(error: Exception, endpoint: Endpoint) -> NodeFailed:
    """Put what the library raised into a sentence. Its own text is kept only where it is about the request."""
    who = f"{endpoint.provider.name} ({endpoint.host})"
    match error:
        case ModelHTTPError():
            return explain_status(endpoint, error.status_code, error.body, error.retry_after)
        case ModelConnectionError():
            return NodeFailed(f"the connection to {who} failed or was lost", retryable=True)
        case ModelAPIError() | UnexpectedModelBehavior() | ValidationError() | TypeError() | AttributeError():
            return NodeFailed(f"{who} answered {endpoint.model} with something that is no model's answer")
        case _:
            # What a model can't be sent, most of all a kind of file.
            return NodeFailed(scrub(f"{endpoint.model} can't be asked this: {error}", endpoint.key))
