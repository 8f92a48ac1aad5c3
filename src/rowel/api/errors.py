"""Every refusal as an answer: `{"detail": <a sentence>, "code": <a stable word>}`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowel.api.answers import answer
from rowel.core.errors import (
    Busy,
    Conflict,
    Invalid,
    InvalidDefinition,
    InvalidInputs,
    NotFound,
    RowelError,
    TooLarge,
    Unavailable,
)

log = logging.getLogger(__name__)


class UnsupportedType(RowelError):
    """This content type is not taken here."""

    code = "unsupported_media_type"


class Foreign(RowelError):
    """This request comes from a foreign site."""

    code = "forbidden"


#: The status of each error; the nearest ancestor counts.
STATUSES: Mapping[type[RowelError], int] = {
    Foreign: 403,
    NotFound: 404,
    UnsupportedType: 415,
    TooLarge: 413,
    InvalidInputs: 400,
    Invalid: 422,
    Conflict: 409,
    Busy: 429,
    Unavailable: 503,
    RowelError: 500,
}

#: How many of a request's mistakes are told at once, and how much of a name in them.
MOST_MISTAKES = 50
LONGEST_NAME = 128


def refusal(error: RowelError) -> Response:
    """The answer to an error that was raised on purpose."""
    content: dict[str, Any] = {"detail": error.message, "code": error.code}
    if isinstance(error, InvalidDefinition):
        content["problems"] = [
            {"message": problem.message, "node_id": problem.node_id, "field": problem.field}
            for problem in error.problems
        ]
    retry_after_s = getattr(error, "retry_after_s", None)
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
    return answer(content, status_of(type(error)), headers)


def status_of(kind: type[RowelError]) -> int:
    return next(STATUSES[parent] for parent in kind.__mro__ if parent in STATUSES)


def mistake(message: str, *place: str | int, kind: str = "value_error") -> RequestValidationError:
    """One thing that is wrong in a request, at `place` ("body", field, ... or "query", name)."""
    return RequestValidationError([{"type": kind, "loc": place, "msg": message}])


def register(app: FastAPI) -> None:
    """Let the app answer errors as this page says."""

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, RowelError)
        return refusal(error)

    async def list_mistakes(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer({"detail": list(_mistakes(error.errors())), "code": "invalid_request"}, 422)

    async def explain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _explanation(request, error, app.routes)

    app.add_exception_handler(RowelError, refuse)
    app.add_exception_handler(RequestValidationError, list_mistakes)
    app.add_exception_handler(HTTPException, explain)


def _mistakes(errors: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for count, error in enumerate(errors):
        if count == MOST_MISTAKES:
            return
        place = [step[:LONGEST_NAME] if isinstance(step, str) else step for step in error["loc"]]
        yield {"type": error["type"], "loc": place, "msg": error["msg"]}


def _explanation(request: Request, error: HTTPException, routes: Iterable[BaseRoute]) -> Response:
    path = request.url.path[:LONGEST_NAME]
    if error.status_code == 404:
        return answer({"detail": f"There is nothing at {path!r}.", "code": "not_found"}, 404)
    if error.status_code == 405:
        allowed = sorted(_methods_at(request.scope, routes))
        words = " and ".join(allowed)
        detail = f"{request.method[:20]} is not possible at {path!r}; {words} {'is' if len(allowed) == 1 else 'are'}."
        return answer({"detail": detail, "code": "method_not_allowed"}, 405, {"Allow": ", ".join(allowed)})
    return answer({"detail": error.detail, "code": "refused"}, error.status_code, error.headers)


def _methods_at(scope: Scope, routes: Iterable[BaseRoute]) -> set[str]:
    return {
        method
        for route in routes
        if route.matches(scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }


class LastResort:
    """The outermost middleware: what nobody expected is logged and answered with 500, without a trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.debug("the client of %s went away", scope["path"])
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if has_begun:
                raise
            detail = "Rowel could not do this because of a mistake of its own; its log says more."
            await answer({"detail": detail, "code": "internal"}, 500)(scope, receive, send)
