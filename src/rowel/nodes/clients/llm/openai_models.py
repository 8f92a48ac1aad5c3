"""Models behind `POST {base}/chat/completions`, which most providers speak."""

from __future__ import annotations

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile, openai_model_profile
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from rowel.nodes.clients.llm.providers import Endpoint


def open_model(endpoint: Endpoint, key: str, connections: httpx2.AsyncClient) -> OpenAIChatModel:
    """Return the library's model for an endpoint."""
    client = AsyncOpenAI(api_key=key, base_url=endpoint.base_url, http_client=connections, max_retries=0)
    if not endpoint.provider.is_openai:
        # The library takes these from OPENAI_* variables, whoever is called.
        client.organization = client.project = None
    provider = OpenAICompatibleProvider(endpoint.provider.name, openai_client=client)
    return OpenAIChatModel(endpoint.model, provider=provider, profile=_profile(endpoint))


def _profile(endpoint: Endpoint) -> OpenAIModelProfile:
    """What the endpoint can do, by its provider. Only one thing here follows the model's name: models that reason
    take `max_completion_tokens` and not `max_tokens`, the word that all other servers know."""
    is_openai = endpoint.provider.is_openai
    reasons = bool(openai_model_profile(endpoint.model).get("openai_supports_reasoning"))
    return OpenAIModelProfile(
        supports_json_schema_output=True,
        json_schema_transformer=None,
        openai_system_prompt_role="system",
        openai_supports_strict_tool_definition=is_openai,
        openai_chat_supports_max_completion_tokens=reasons or (is_openai and not endpoint.is_custom),
    )
