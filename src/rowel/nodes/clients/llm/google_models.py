"""Google's own protocol, `POST {base}/v1beta/models/{model}:generateContent`, which takes documents too."""

from __future__ import annotations

import httpx2
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.google import GoogleProvider

from rowel.nodes.clients.llm.providers import Endpoint


def open_model(endpoint: Endpoint, key: str, connections: httpx2.AsyncClient) -> GoogleModel:
    """Return the library's model for an endpoint."""
    provider = GoogleProvider(api_key=key, base_url=endpoint.base_url, http_client=connections)
    return GoogleModel(
        endpoint.model, provider=provider, profile=ModelProfile(supports_json_schema_output=True)
    )
