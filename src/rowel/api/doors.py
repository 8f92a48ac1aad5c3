"""Who may knock: on loopback only requests to this very machine, and no writes from foreign sites."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowel.api.errors import Foreign, refusal

#: Names of this machine, as a Host header may say them.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}


class Doors:
    """Middleware that refuses foreign requests with 403 and marks every answer as what it says it is.

    A page of a foreign site must not reach a server without a login through its visitor's browser: its Host may be
    made to point here (DNS rebinding), and its Origin tells where a write comes from.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        """`hosts` are the names that a Host header may say; None: any."""
        self._app = app
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        reason = self._reason_against(scope)
        if reason is None:
            await self._app(scope, receive, marked)
        else:
            await refusal(Foreign(reason))(scope, receive, marked)

    def _reason_against(self, scope: Scope) -> str | None:
        said = _values(scope, b"host")
        host = said[0] if len(said) == 1 else ""
        if self._hosts is not None and _name_of(host) not in self._hosts:
            what = f"This server is not {host[:128]!r}" if host else "The request does not say one Host"
            return f"{what}. Names that this server should have belong into ROWEL_ALLOWED_HOSTS."
        if scope["method"] in READS:
            return None
        origins = _values(scope, b"origin")
        if not all(_is_own(origin, host) for origin in origins):
            return f"Writes from the foreign origin {origins[0][:128]!r} are refused."
        if not origins and _values(scope, b"sec-fetch-site") == ["cross-site"]:
            return "Writes from a foreign site are refused."
        return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _name_of(host: str) -> str:
    found = _AUTHORITY.fullmatch(host)
    return found[1].lower() if found else ""


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is this server under the name that the Host header says."""
    scheme, _, authority = origin.lower().partition("://")
    return scheme in _PORTS and _address(authority, scheme) == _address(host, scheme) is not None


def _address(authority: str, scheme: str) -> tuple[str, str] | None:
    """Name and port, the latter as the scheme means it where none is said."""
    found = _AUTHORITY.fullmatch(authority)
    return (found[1].lower(), found[2] or _PORTS[scheme]) if found else None
