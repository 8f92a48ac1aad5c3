"""Names each request, and tells who looks on how it was answered."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Protocol

import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowel.engine.observer import CALLER, REQUEST

HEADER = b"x-request-id"
TRACEPARENT = b"traceparent"
#: What a client may call its request.
_LAWFUL = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Watcher(Protocol):
    """Hears how requests are answered."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the template of the path, such as `/run/{run_id}/`, or `none`; `seconds` passed until the answer
        began."""


class Watching:
    """The innermost middleware: routes are known to it. The answer says the request's id as `X-Request-ID`."""

    def __init__(self, app: ASGIApp, watcher: Watcher) -> None:
        self._app = app
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, begun = _id_of(scope), perf_counter()
        has_begun = False

        def tell(status: int) -> None:
            route = getattr(scope.get("route"), "path", "none")
            self._watcher.answered(scope["method"], route, status, perf_counter() - begun)

        async def watched(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
                tell(message["status"])
            await send(message)

        before, caller = (
            REQUEST.set(request_id.decode()),
            CALLER.set(_said(scope, TRACEPARENT).decode("latin-1")),
        )
        try:
            await self._app(scope, receive, watched)
        except Exception:
            if not has_begun:
                tell(500)
            raise
        finally:
            REQUEST.reset(before)
            CALLER.reset(caller)


def _id_of(scope: Scope) -> bytes:
    """The id that the client gave its request, if it is lawful; else one of ours."""
    given = _said(scope, HEADER)
    return given if _LAWFUL.fullmatch(given) else uuid_utils.uuid7().hex.encode()


def _said(scope: Scope, header: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == header), b"")
