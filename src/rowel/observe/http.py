"""Outgoing calls that say whose they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rowel.nodes.context import HTTP, Response


class WatchedHTTP:
    """Implements `HTTP` by another one, with more headers."""

    def __init__(self, http: HTTP, headers: Callable[[], Mapping[str, str]]) -> None:
        """A call's own headers win over `headers`."""
        self._http = http
        self._headers = headers

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Response:
        given = headers or {}
        named = {name.lower() for name in given}
        more = {name: value for name, value in self._headers().items() if name not in named}
        return await self._http.request(method, url, headers={**more, **given}, **options)
