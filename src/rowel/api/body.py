"""How a request is judged before an endpoint sees it: content type, size, then the body as strict JSON."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from email.message import Message
from typing import Any, get_origin

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from rowel.api.answers import JSON
from rowel.api.errors import UnsupportedType, mistake
from rowel.api.ids import check_ids, find_ids
from rowel.api.options import options_of
from rowel.api.refusals import documented_refusals
from rowel.core.errors import Invalid, TooLarge
from rowel.core.jsontext import kind, parse

MULTIPART = "multipart/form-data"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

#: What stands where an id could, and is none.
WORDS = frozenset({"", "paused_workflows", "pause_history", "process_pause_action", "cancel_workflow"})

#: Parameters of endpoints that don't come from the request.
_GIVEN = {"engine", "limits", "request"}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ReadRequest(Request):
    """A request whose body has been read as strict JSON; FastAPI finds it here."""

    def __init__(self, request: Request, content: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._content = content
        self._value = value

    async def body(self) -> bytes:
        return self._content

    async def json(self) -> Any:
        return self._value


class JudgedRoute(APIRoute):
    """A route whose requests are judged in the order that `docs/api.md` gives.

    Ids of a form that no id has name nothing, and so do unknown ids in a path, whatever else is wrong: 404. A route
    that takes files says so in its OpenAPI; every other write takes JSON.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        documented = documented_refusals(
            has_id="{" in path,
            writes=bool(WRITES.intersection(options.get("methods") or ())),
            has_parameters=bool(inspect.signature(endpoint).parameters.keys() - _GIVEN),
        )
        options |= {
            "operation_id": endpoint.__name__,
            "responses": {**(options.get("responses") or {}), **documented},
        }
        self._documented = options
        # Endpoints make their answers themselves: to serve, no model of an answer is needed, and making all of them
        # takes longer than the rest of the start.
        super().__init__(path, endpoint, **{**options, "response_model": None, "responses": {}})

    def documented(self) -> APIRoute:
        """The same route with all that OpenAPI tells of its answers."""
        return APIRoute(self.path, self.endpoint, **self._documented)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match is not Match.NONE and not WORDS.isdisjoint(child_scope["path_params"].values()):
            return Match.NONE, {}
        return match, child_scope

    @property
    def takes_files(self) -> bool:
        return MULTIPART in (self.openapi_extra or {}).get("requestBody", {}).get("content", {})

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        read = self._reader()

        async def judged(request: Request) -> Response:
            check_ids(request.path_params)
            try:
                return await handle(await read(request))
            except (RequestValidationError, Invalid):
                await find_ids(request)
                raise

        return judged

    def _reader(self) -> Callable[[Request], Coroutine[Any, Any, Request]]:
        is_write = bool(WRITES.intersection(self.methods or ()))
        single = set(_single_names(self))

        async def read(request: Request) -> Request:
            if self.takes_files:
                check_upload(request)
            elif is_write:
                request = await read_json(request, needs_body=self.body_field is not None)
            check_repeated(request, single)
            return request

        return read


def _single_names(route: APIRoute) -> Iterator[str]:
    """The query parameters of which only one value counts."""
    for param in route.dependant.query_params:
        annotation = param.field_info.annotation
        fields = getattr(annotation, "model_fields", {param.alias: param.field_info})
        yield from (name for name, field in fields.items() if get_origin(field.annotation) is not list)


def check_repeated(request: Request, single: set[str]) -> None:
    """Refuse a query parameter that is given more than once, where only one value counts."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    for name in sorted(single):
        if counts[name] > 1:
            raise mistake(f"given {counts[name]} times; once is enough", "query", name)


def check_upload(request: Request) -> None:
    """Judge what the headers of an upload say. Raises `UnsupportedType` and `TooLarge`."""
    if _media_type(request.headers) != MULTIPART:
        raise _unsupported(request.headers, f"{MULTIPART} with a part named 'file'")
    # Headers and boundaries lie around the file.
    _check_length(_declared_length(request.headers), options_of(request).limits.upload + 1024**2)


async def read_json(request: Request, *, needs_body: bool) -> ReadRequest:
    """Read a body of strict JSON. Raises `UnsupportedType`, `TooLarge`, and a mistake where it is not JSON."""
    headers = request.headers
    if not _is_json(headers) and (_has_body(headers) or (needs_body and "content-type" in headers)):
        raise _unsupported(headers, "application/json")
    content = await _read(request, options_of(request).limits.body)
    if not content:
        return ReadRequest(request, b"", None)
    try:
        value = parse(content)
    except Invalid as error:
        raise mistake(error.message, "body", kind="json_invalid") from None
    if not needs_body and not isinstance(value, dict | None):
        raise mistake(f"must be an object, not {kind(value)}", "body")
    return ReadRequest(request, content, value)


async def _read(request: Request, limit: int) -> bytes:
    _check_length(_declared_length(request.headers), limit)
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        _check_length(size, limit)
        parts.append(part)
    return b"".join(parts)


def _check_length(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(f"The body is larger than {limit:,} bytes, which is the limit here.")


def _declared_length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if re.fullmatch("[0-9]{1,20}", text) else 0


def _has_body(headers: Headers) -> bool:
    return _declared_length(headers) > 0 or "transfer-encoding" in headers


def _is_json(headers: Headers) -> bool:
    media_type = _media_type(headers)
    return media_type == JSON or (media_type.startswith("application/") and media_type.endswith("+json"))


def _media_type(headers: Headers) -> str:
    """The media type; empty where none is said, or where the body is encoded in a way that is not taken."""
    told = headers.getlist("content-type")
    if len(told) != 1 or headers.get("content-encoding", "identity").lower() != "identity":
        return ""
    if told[0] == JSON:  # as nearly all do: parsing it takes longer than reading their bodies
        return JSON
    message = Message()
    message["content-type"] = told[0]
    is_utf8 = (message.get_content_charset() or "utf-8") in {"utf-8", "utf8", "us-ascii"}
    return message.get_content_type() if is_utf8 else ""


def _unsupported(headers: Headers, wanted: str) -> UnsupportedType:
    said = [
        f"{name} {headers[name][:128]!r}" for name in ("content-type", "content-encoding") if name in headers
    ]
    return UnsupportedType(
        f"The body must be {wanted}, not {' and '.join(said) or 'without a content type'}."
    )
