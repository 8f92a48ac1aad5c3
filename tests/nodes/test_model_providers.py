from __future__ import annotations

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.llm.providers import find_endpoint

KEYS = {
    "OPENAI_API_KEY": "openai-key",
    "AZURE_OPENAI_API_KEY": "azure-key",
    "AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/",
    "ANTHROPIC_API_KEY": "anthropic-key",
    "GOOGLE_API_KEY": "google-key",
    "GROQ_API_KEY": "groq-key",
    "MISTRAL_API_KEY": "mistral-key",
    "DEEPSEEK_API_KEY": "deepseek-key",
    "TOGETHERAI_API_KEY": "together-key",
    "OPENROUTER_API_KEY": "openrouter-key",
    "XAI_API_KEY": "xai-key",
    "COHERE_API_KEY": "cohere-key",
    "HOSTED_VLLM_API_BASE": "http://gpu:8000",
}


@pytest.mark.parametrize(
    ("name", "model", "base_url", "key"),
    [
        ("gpt-4o", "gpt-4o", "https://api.openai.com/v1", "openai-key"),
        ("openai/chatgpt-4o-latest", "chatgpt-4o-latest", "https://api.openai.com/v1", "openai-key"),
        ("OpenAI/gpt-4o", "gpt-4o", "https://api.openai.com/v1", "openai-key"),
        ("azure/my-gpt", "my-gpt", "https://me.openai.azure.com/openai/v1", "azure-key"),
        ("anthropic/claude-opus-4-8", "claude-opus-4-8", "https://api.anthropic.com", "anthropic-key"),
        (
            "gemini/gemini-2.0-flash",
            "gemini-2.0-flash",
            "https://generativelanguage.googleapis.com",
            "google-key",
        ),
        ("ollama/llama3.2:3b", "llama3.2:3b", "http://localhost:11434/v1", None),
        ("groq/openai/gpt-oss-20b", "openai/gpt-oss-20b", "https://api.groq.com/openai/v1", "groq-key"),
        ("mistral/mistral-large", "mistral-large", "https://api.mistral.ai/v1", "mistral-key"),
        ("deepseek/deepseek-chat", "deepseek-chat", "https://api.deepseek.com/v1", "deepseek-key"),
        ("together_ai/meta/llama", "meta/llama", "https://api.together.xyz/v1", "together-key"),
        ("openrouter/qwen/qwen3", "qwen/qwen3", "https://openrouter.ai/api/v1", "openrouter-key"),
        ("xai/grok-4", "grok-4", "https://api.x.ai/v1", "xai-key"),
        ("cohere/command-a", "command-a", "https://api.cohere.ai/compatibility/v1", "cohere-key"),
        ("hosted_vllm/qwen", "qwen", "http://gpu:8000/v1", None),
    ],
)
def test_a_name_says_provider_and_model(name, model, base_url, key):
    endpoint = find_endpoint(name, KEYS)

    assert (endpoint.model, endpoint.base_url, endpoint.key) == (model, base_url, key)


@pytest.mark.parametrize("name", ["meta-llama/Llama-3", "acme/model/v2", "/odd", "openai/", "weird name ☃"])
def test_any_other_name_is_a_model_at_openais_address(name):
    endpoint = find_endpoint(name, {"OPENAI_API_BASE": "http://gateway/v1"})

    assert (endpoint.model, endpoint.base_url) == (name, "http://gateway/v1")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-opus-4-8", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.0-flash", "GEMINI_API_KEY or GOOGLE_API_KEY"),
        ("azure/gpt", "AZURE_OPENAI_ENDPOINT"),
        ("hosted_vllm/qwen", "HOSTED_VLLM_API_BASE"),
    ],
)
@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": " ", "ANTHROPIC_API_KEY": ""}])
def test_what_is_missing_is_named_by_its_variable(name, variable, environment):
    with pytest.raises(NodeFailed, match=f"set {variable} in the server's environment") as failed:
        find_endpoint(name, environment)

    assert name in failed.value.message
    assert not failed.value.retryable


@pytest.mark.parametrize("variable", ["OPENAI_API_BASE", "OPENAI_BASE_URL"])
def test_a_server_of_ones_own_needs_no_key(variable):
    endpoint = find_endpoint("gpt-4o", {variable: "http://127.0.0.1:9000/v1/"})

    assert (endpoint.base_url, endpoint.key, endpoint.is_custom) == ("http://127.0.0.1:9000/v1", None, True)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://gpu:11434", "http://gpu:11434/v1"),
        ("http://gpu:11434/", "http://gpu:11434/v1"),
        ("http://gpu:11434/v1", "http://gpu:11434/v1"),
        ("http://gpu/ollama/v1/", "http://gpu/ollama/v1"),
    ],
)
def test_ollamas_address_may_leave_out_the_path(given, used):
    assert find_endpoint("ollama/llama3.2", {"OLLAMA_BASE_URL": given}).base_url == used


def test_an_address_is_used_as_it_is_where_its_path_is_the_operators():
    assert find_endpoint("gpt-4o", {"OPENAI_API_BASE": "http://gateway"}).base_url == "http://gateway"


def test_a_response_format_is_the_providers_and_not_the_models():
    formats = {
        find_endpoint(f"{provider}/{model}", KEYS).provider.has_json_schema
        for provider in ("openai", "ollama")
        for model in ("gpt-3.5-turbo", "no-such-model")
    }

    assert formats == {True}
    assert not find_endpoint("deepseek/gpt-4o", KEYS).provider.has_json_schema


def test_a_key_is_not_shown_with_its_endpoint():
    assert "openai-key" not in repr(find_endpoint("gpt-4o", KEYS))
