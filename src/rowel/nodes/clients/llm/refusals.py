"""What a provider's refusal means, in a sentence without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.llm.providers import Endpoint

_LONGEST = 300
_RETRIED = frozenset({429, *range(500, 600)})
#: What looks like a key or a part of one: some providers quote the key they refuse.
_LIKE_A_KEY = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|xai|hf)[-_]|AIza|Bearer )[A-Za-z0-9*._-]{8,}|[A-Za-z0-9_-]{2,}\*{3,}\S*"
)


def explain_status(endpoint: Endpoint, status: int, body: object, retry_after_s: float | None) -> NodeFailed:
    """Return the failure for an HTTP status of 400 or more. 429 and 5xx are retryable.

    Of the provider's own text at most 300 characters are kept, and none where it is about the key.
    """
    who = f"{endpoint.provider.name} ({endpoint.host})"
    if status in (401, 403):
        variable = " or ".join(endpoint.provider.keys)
        return NodeFailed(
            f"{who} refused the key or its right to use {endpoint.model} (HTTP {status}): check {variable}",
            details={"status": status},
        )
    said = scrub(_said(body), endpoint.key)
    return NodeFailed(
        f"{who} answered HTTP {status} for {endpoint.model}{f': {said}' if said else ''}",
        retryable=status in _RETRIED,
        retry_after_s=retry_after_s if status in _RETRIED else None,
        details={"status": status},
    )


def scrub(text: str, key: str | None) -> str:
    """Return the text on one line, at most 300 characters, without the key or anything that looks like one."""
    if key:
        text = text.replace(key, "***")
    text = " ".join(_LIKE_A_KEY.sub("***", text).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _said(body: Any) -> str:
    """Find the sentence in an error's body: {"error": {"message"}}, {"message"}, {"error": text} or bare text."""
    while isinstance(body, Mapping):
        body = body.get("error") or body.get("message") or body.get("detail") or ""
    if isinstance(body, list):
        return _said(body[0]) if body else ""
    return body if isinstance(body, str) else ""
