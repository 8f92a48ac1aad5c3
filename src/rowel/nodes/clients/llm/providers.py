"""Which provider a model's name means, where it is reached, and which key it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from rowel.core.errors import NodeFailed


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A service that answers for models."""

    name: str
    #: What stands before the slash in a model's name.
    prefixes: tuple[str, ...]
    #: Where it is reached; None where each customer has an address of his own.
    base_url: str | None
    #: Environment variables for its key and for another address, the first that is set wins.
    keys: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    needs_key: bool = True
    #: `openai`: POST {base}/chat/completions. The others speak their own protocol.
    dialect: Literal["openai", "anthropic", "google"] = "openai"
    #: All its models take a JSON schema as the format of their answer. Where only some do, this is False and the
    #: schema is asked for in words, which works with all of them.
    has_json_schema: bool = False
    #: It fetches pictures itself, by their address.
    fetches_images: bool = False
    #: What genai-prices calls it; None where nothing is paid per token.
    prices: str | None = None
    #: The path of its API, added to an address that names a host alone.
    path: str = ""
    #: It is OpenAI's own service, wherever it runs, and so takes OpenAI's own settings.
    is_openai: bool = False


@dataclass(frozen=True)
class Endpoint:
    """A model at a provider, ready to be called."""

    provider: Provider
    model: str
    base_url: str
    key: str | None = field(repr=False)
    #: The operator set another address than the provider's own.
    is_custom: bool

    @property
    def name(self) -> str:
        """Which model it is, always written alike."""
        return f"{self.provider.prefixes[0]}/{self.model}"

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or self.base_url


def known_name(pattern: str) -> str | None:
    """`provider/model` as calls are counted, `*` for any model; None where there is no such provider."""
    prefix, _, model = pattern.partition("/")
    provider = _PROVIDERS.get(prefix.lower())
    return f"{provider.prefixes[0]}/{model}" if provider is not None and model else None


def find_endpoint(name: str, environment: Mapping[str, str]) -> Endpoint:
    """Return where the model `name` is reached: `provider/model`, or a bare name, which is OpenAI's.

    A name whose first part is no provider's is a whole name at OpenAI's address (gateways use such names).
    Raises `NodeFailed` where a key or an address is missing, saying which variable to set.
    """
    prefix, slash, model = name.partition("/")
    provider = _PROVIDERS.get(prefix.lower()) if slash and model else None
    if provider is None:
        provider, model = _PROVIDERS["openai"], name
    custom = _first(environment, provider.bases)
    base_url = custom or provider.base_url
    if base_url is None:
        raise NodeFailed(f"{name} needs an address: set {provider.bases[0]} in the server's environment")
    key = _first(environment, provider.keys)
    if key is None and provider.needs_key and custom is None:
        raise NodeFailed(f"{name} needs a key: set {_either(provider.keys)} in the server's environment")
    return Endpoint(provider, model, _with_path(base_url, provider.path), key, custom is not None)


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := environment.get(name, "").strip())), None)


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def _with_path(base_url: str, path: str) -> str:
    base_url = base_url.rstrip("/")
    return base_url + path if path and not urlsplit(base_url).path else base_url


_TABLE = (
    Provider(
        name="OpenAI",
        prefixes=("openai",),
        base_url="https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        bases=("OPENAI_API_BASE", "OPENAI_BASE_URL"),
        has_json_schema=True,
        fetches_images=True,
        prices="openai",
        is_openai=True,
    ),
    Provider(
        name="Azure OpenAI",
        prefixes=("azure", "azure_ai"),
        base_url=None,
        keys=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        bases=("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_BASE", "AZURE_API_BASE"),
        has_json_schema=True,
        fetches_images=True,
        prices="azure",
        path="/openai/v1",
        is_openai=True,
    ),
    Provider(
        name="Anthropic",
        prefixes=("anthropic",),
        base_url="https://api.anthropic.com",
        keys=("ANTHROPIC_API_KEY",),
        bases=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        dialect="anthropic",
        prices="anthropic",
    ),
    Provider(
        name="Google",
        prefixes=("gemini", "google"),
        base_url="https://generativelanguage.googleapis.com",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        bases=("GEMINI_API_BASE", "GEMINI_BASE_URL"),
        dialect="google",
        has_json_schema=True,
        prices="google",
    ),
    Provider(
        name="Ollama",
        prefixes=("ollama", "ollama_chat"),
        base_url="http://localhost:11434",
        keys=("OLLAMA_API_KEY",),
        bases=("OLLAMA_BASE_URL", "OLLAMA_API_BASE"),
        needs_key=False,
        has_json_schema=True,
        path="/v1",
    ),
    Provider(
        name="Groq",
        prefixes=("groq",),
        base_url="https://api.groq.com/openai/v1",
        keys=("GROQ_API_KEY",),
        bases=("GROQ_API_BASE", "GROQ_BASE_URL"),
        fetches_images=True,
        prices="groq",
    ),
    Provider(
        name="Mistral",
        prefixes=("mistral", "mistralai"),
        base_url="https://api.mistral.ai/v1",
        keys=("MISTRAL_API_KEY",),
        bases=("MISTRAL_API_BASE", "MISTRAL_BASE_URL"),
        has_json_schema=True,
        fetches_images=True,
        prices="mistral",
    ),
    Provider(
        name="DeepSeek",
        prefixes=("deepseek",),
        base_url="https://api.deepseek.com/v1",
        keys=("DEEPSEEK_API_KEY",),
        bases=("DEEPSEEK_API_BASE", "DEEPSEEK_BASE_URL"),
        prices="deepseek",
    ),
    Provider(
        name="Together",
        prefixes=("together_ai", "together"),
        base_url="https://api.together.xyz/v1",
        keys=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY"),
        bases=("TOGETHER_API_BASE", "TOGETHER_BASE_URL"),
        fetches_images=True,
        prices="together",
    ),
    Provider(
        name="OpenRouter",
        prefixes=("openrouter",),
        base_url="https://openrouter.ai/api/v1",
        keys=("OPENROUTER_API_KEY",),
        bases=("OPENROUTER_API_BASE", "OPENROUTER_BASE_URL"),
        fetches_images=True,
        prices="openrouter",
    ),
    Provider(
        name="xAI",
        prefixes=("xai",),
        base_url="https://api.x.ai/v1",
        keys=("XAI_API_KEY",),
        bases=("XAI_API_BASE", "XAI_BASE_URL"),
        has_json_schema=True,
        fetches_images=True,
        prices="x-ai",
    ),
    Provider(
        name="Cohere",
        prefixes=("cohere", "cohere_chat"),
        base_url="https://api.cohere.ai/compatibility/v1",
        keys=("COHERE_API_KEY", "CO_API_KEY"),
        bases=("COHERE_API_BASE", "COHERE_BASE_URL"),
        prices="cohere",
    ),
    Provider(
        name="Fireworks",
        prefixes=("fireworks_ai", "fireworks"),
        base_url="https://api.fireworks.ai/inference/v1",
        keys=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        bases=("FIREWORKS_API_BASE", "FIREWORKS_BASE_URL"),
        has_json_schema=True,
        prices="fireworks",
    ),
    Provider(
        name="Perplexity",
        prefixes=("perplexity",),
        base_url="https://api.perplexity.ai",
        keys=("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"),
        bases=("PERPLEXITY_API_BASE", "PERPLEXITY_BASE_URL"),
        has_json_schema=True,
        prices="perplexity",
    ),
    Provider(
        name="Cerebras",
        prefixes=("cerebras",),
        base_url="https://api.cerebras.ai/v1",
        keys=("CEREBRAS_API_KEY",),
        bases=("CEREBRAS_API_BASE", "CEREBRAS_BASE_URL"),
        has_json_schema=True,
        prices="cerebras",
    ),
    Provider(
        name="Moonshot",
        prefixes=("moonshot", "moonshotai"),
        base_url="https://api.moonshot.ai/v1",
        keys=("MOONSHOT_API_KEY",),
        bases=("MOONSHOT_API_BASE", "MOONSHOT_BASE_URL"),
        prices="moonshotai",
    ),
    Provider(
        name="Hugging Face",
        prefixes=("huggingface",),
        base_url="https://router.huggingface.co/v1",
        keys=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        bases=("HUGGINGFACE_API_BASE",),
    ),
    Provider(
        name="NVIDIA NIM",
        prefixes=("nvidia_nim",),
        base_url="https://integrate.api.nvidia.com/v1",
        keys=("NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"),
        bases=("NVIDIA_NIM_API_BASE",),
    ),
    Provider(
        name="vLLM",
        prefixes=("hosted_vllm", "vllm"),
        base_url=None,
        keys=("HOSTED_VLLM_API_KEY",),
        bases=("HOSTED_VLLM_API_BASE",),
        needs_key=False,
        has_json_schema=True,
        path="/v1",
    ),
    Provider(
        name="LM Studio",
        prefixes=("lm_studio",),
        base_url="http://localhost:1234",
        keys=("LM_STUDIO_API_KEY",),
        bases=("LM_STUDIO_API_BASE",),
        needs_key=False,
        has_json_schema=True,
        path="/v1",
    ),
)

_PROVIDERS = {prefix: provider for provider in _TABLE for prefix in provider.prefixes}
