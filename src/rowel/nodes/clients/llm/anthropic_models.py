"""Anthropic's own protocol, `POST {base}/v1/messages`."""

from __future__ import annotations

import httpx2
from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from rowel.nodes.clients.llm.providers import Endpoint


def open_model(endpoint: Endpoint, key: str, connections: httpx2.AsyncClient) -> AnthropicModel:
    """Return the library's model for an endpoint."""
    client = AsyncAnthropic(api_key=key, base_url=endpoint.base_url, http_client=connections, max_retries=0)
    return AnthropicModel(endpoint.model, provider=AnthropicProvider(anthropic_client=client))
