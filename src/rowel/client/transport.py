"""What both clients do with httpx: how requests are sent and what broken connections mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from rowel.client.errors import ConnectionLost
from rowel.client.messages import Answer, Request

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: As many connections as are asked for: one that waits for a run or follows events is held for long.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def options(base_url: str, api_key: str | None, timeout: float) -> dict[str, Any]:
    """How an httpx client for one server is made."""
    headers = {"User-Agent": "rowel-client"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": base_url,
        "headers": headers,
        "timeout": timeout,
        "limits": LIMITS,
        # Proxies are for servers elsewhere; one on this machine is not behind them.
        "trust_env": urlsplit(base_url).hostname not in LOOPBACK,
    }


def arguments(request: Request) -> dict[str, Any]:
    """What httpx is told to send. Files are opened by whoever sends."""
    headers = dict(request.headers)
    content = request.content()
    if content is not None:
        headers["Content-Type"] = "application/json"
    told: dict[str, Any] = {
        "method": request.method,
        "url": request.path,
        "params": {name: value for name, value in request.query.items() if value is not None},
        "headers": headers,
        "content": content,
    }
    if request.silence_s is not None:
        told["timeout"] = httpx.Timeout(request.silence_s, connect=10.0)
    return told


def answer(response: httpx.Response) -> Answer:
    return Answer(status=response.status_code, headers=_lower(response.headers), body=response.content)


def lost(error: httpx.TransportError, base_url: str) -> ConnectionLost:
    """What a broken connection means to the caller."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ConnectionLost(f"no Rowel server answers at {base_url}: {error}", may_have_arrived=False)
    return ConnectionLost(f"the connection to {base_url} was lost: {str(error) or type(error).__name__}")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
