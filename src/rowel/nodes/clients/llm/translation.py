"""Between our messages, settings and answers and those of the model library."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer
from pydantic_ai.settings import ModelSettings as LibrarySettings

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Usage
from rowel.nodes.clients.llm.files import Attachment, Turn
from rowel.nodes.clients.llm.prices import cost_usd
from rowel.nodes.clients.llm.providers import Endpoint
from rowel.nodes.clients.llm.refusals import scrub
from rowel.nodes.context import Answer, ModelSettings

#: Anthropic wants a number in every request; all its models can do this one.
_ANTHROPIC_MAX_TOKENS = 8_192


def to_messages(turn: Turn) -> list[ModelMessage]:
    """Return the library's form of one message. Files stand before the text, which stays as it is."""
    message = turn.message
    if message.role == "assistant":
        return [ModelResponse(parts=[TextPart(message.content)])]
    if message.role == "system":
        return [ModelRequest(parts=[SystemPromptPart(message.content)])]
    return [ModelRequest(parts=[UserPromptPart(_content(turn))])]


def to_settings(
    endpoint: Endpoint, profile: Mapping[str, Any], settings: ModelSettings, idempotency_key: str | None
) -> LibrarySettings:
    """Return what is set, without what this model refuses to be told. `profile` is what the library knows of it."""
    told = LibrarySettings()
    is_anthropic = endpoint.provider.dialect == "anthropic"
    max_tokens = settings.max_tokens or (_ANTHROPIC_MAX_TOKENS if is_anthropic else None)
    if max_tokens is not None:
        told["max_tokens"] = max_tokens
    if settings.temperature is not None and _takes_sampling(profile):
        told["temperature"] = settings.temperature
    # Newer Anthropic models refuse a request that sets both.
    one_only = is_anthropic and settings.temperature is not None
    if settings.top_p is not None and _takes_sampling(profile) and not one_only:
        told["top_p"] = settings.top_p
    if idempotency_key is not None:
        told["extra_headers"] = {"Idempotency-Key": idempotency_key}
    return told


def to_parameters(endpoint: Endpoint, json_schema: Mapping[str, Any] | None) -> ModelRequestParameters:
    """Ask for text, or with a schema for the provider's own JSON format; never for a tool call."""
    if json_schema is None:
        return ModelRequestParameters(output_mode="text")
    schema, is_strict = dict(json_schema), False
    if endpoint.provider.dialect == "openai":
        schema, is_strict = _as_strict(schema)
    wanted = OutputObjectDefinition(name="output", json_schema=schema, strict=is_strict)
    return ModelRequestParameters(output_mode="native", output_object=wanted, allow_text_output=False)


def to_answer(response: ModelResponse, endpoint: Endpoint, *, wants_json: bool) -> Answer:
    """Return the text of a response with its tokens and cost. What the model thought is left out.

    Raises `NodeFailed` for a refusal, an answer cut off so that it can't be used, and one without text.
    """
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    if any(isinstance(part, ThinkingPart) for part in response.parts):
        text = text.lstrip()  # what stood between the thought and the answer
    if response.finish_reason == "length" and (wants_json or not text):
        raise NodeFailed(f"the answer of {endpoint.model} was cut off: raise max_tokens")
    if not text:
        raise NodeFailed(scrub(_why_without_text(response, endpoint), endpoint.key))
    tokens, answered_as = response.usage, response.model_name or endpoint.model
    cost = cost_usd(endpoint.provider.prices, (answered_as, endpoint.model), tokens)
    return Answer(text, Usage(tokens.input_tokens, tokens.output_tokens, cost, requests=1), answered_as)


def _content(turn: Turn) -> str | list[UserContent]:
    if not turn.attachments:
        return turn.message.content
    content: list[UserContent] = [_file(attachment) for attachment in turn.attachments]
    return [*content, turn.message.content] if turn.message.content else content


def _file(attachment: Attachment) -> ImageUrl | BinaryContent:
    if attachment.url is not None:
        return ImageUrl(attachment.url, media_type=attachment.media_type)
    return BinaryContent(attachment.data, media_type=attachment.media_type)


def _takes_sampling(profile: Mapping[str, Any]) -> bool:
    """Models that always reason refuse temperature and top_p."""
    if profile.get("anthropic_disallows_sampling_settings"):
        return False
    reasons = profile.get("thinking_enabled_by_default") or profile.get("thinking_always_enabled")
    return not (profile.get("openai_supports_reasoning") and reasons)


def _as_strict(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the schema as OpenAI's strict mode wants it, if it says the same there; else as it was declared."""
    transformer = OpenAIJsonSchemaTransformer(copy.deepcopy(schema), strict=None)
    strict = transformer.walk()
    return (strict, True) if transformer.is_strict_compatible else (schema, False)


def _why_without_text(response: ModelResponse, endpoint: Endpoint) -> str:
    refusal = (response.provider_details or {}).get("refusal")
    if refusal or response.finish_reason == "content_filter":
        return f"{endpoint.model} refused to answer: {refusal or 'its content filter stopped it'}"
    return f"{endpoint.model} answered without any text"
