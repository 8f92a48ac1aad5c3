"""How model providers, Firecrawl and Slack speak, seen from their side."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.providers import Call

#: Stands for all models in a script.
MODELS = "models"

_GEMINI = re.compile(r"/v1(?:beta)?/models/(?P<model>[^:]+):generateContent")


def is_model_call(path: str) -> bool:
    return path.endswith(("/chat/completions", "/v1/messages")) or _GEMINI.search(path) is not None


def model_of(path: str, body: Any) -> str:
    found = _GEMINI.search(path)
    return found["model"] if found else body["model"]


def system_of(body: Any) -> str:
    if "contents" in body:
        return _plain(body.get("systemInstruction", {}).get("parts", []))
    if "system" in body:
        return _plain(body["system"])
    return "\n".join(
        _plain(message["content"]) for message in body["messages"] if message["role"] == "system"
    )


def user_of(body: Any) -> str:
    messages = body.get("messages") or body["contents"]
    last = [message for message in messages if message["role"] == "user"][-1]
    return _plain(last.get("content", last.get("parts")))


def completion(call: Call, text: str, usage: Mapping[str, int]) -> dict[str, Any]:
    """A model's answer in the words of whoever was asked."""
    if _GEMINI.search(call.path):
        return {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {
                "promptTokenCount": usage["input"],
                "candidatesTokenCount": usage["output"],
                "totalTokenCount": usage["input"] + usage["output"],
            },
            "modelVersion": call.model,
        }
    if call.path.endswith("/v1/messages"):
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": call.model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": usage["input"], "output_tokens": usage["output"]},
        }
    return chat_completion(text, call.model, usage)


def chat_completion(
    text: str | None, model: str, usage: Mapping[str, int], *, finish_reason: str = "stop", **message: Any
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": usage["input"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["input"] + usage["output"],
        },
    }


def kind_text(call: Call) -> str:
    """What a model says without a script: a value of the schema asked for, a number for a rating, else an echo."""
    schema = _wanted_schema(call)
    if schema is not None:
        return json.dumps(_sample(schema, call.user))
    if "only a number" in call.system:
        return str(len(call.user) % 11)
    return f"Answer to: {call.user}"


def kind_answer(call: Call) -> Any:
    """What any other path says without a script."""
    if call.path.endswith("/scrape"):
        url = (call.json or {}).get("url")
        return {
            "success": True,
            "data": {"markdown": f"# Page\n\nFrom {url}", "metadata": {"sourceURL": url}},
        }
    if call.path.endswith("/chat.postMessage"):
        return {"ok": True, "channel": (call.json or {}).get("channel"), "ts": "1790000000.000100"}
    return call.as_json()


def _wanted_schema(call: Call) -> Any:
    body = call.json
    if "response_format" in body:
        return body["response_format"].get("json_schema", {}).get("schema")
    if "contents" in body:
        config = body.get("generationConfig", {})
        return config.get("responseJsonSchema") or config.get("responseSchema")
    _, found, text = call.system.partition("JSON Schema:\n")
    return json.JSONDecoder().raw_decode(text)[0] if found else None


def _sample(schema: Any, text: str) -> Any:
    """Some value of a plain schema."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        return {name: _sample(part, text) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_sample(schema.get("items") or {"type": "string"}, text)]
    return {"string": f"Answer to: {text}", "integer": 1, "number": 0.5, "boolean": True}.get(kind)


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)
