"""A call to any HTTP service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from rowel.core import jsontext
from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, NodeFailed, Problem
from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.clients.retries import persist, retry_after_s
from rowel.nodes.context import Context, Response
from rowel.nodes.templated import TemplatedFields, template_problems

_TEMPLATES = ("url", "headers", "query", "body")
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class HTTPRequestConfig(Config):
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: str = Field(min_length=1, description="A template of an http:// or https:// address.")
    headers: dict[str, Any] = Field(default_factory=dict, description="{name: template}.")
    query: dict[str, Any] = Field(
        default_factory=dict, description="{name: template or list of them}, added to the URL's own."
    )
    body: Any = Field(
        default=None,
        description="Text is sent as it is; an object or a list as JSON. Templates in all strings, at any depth.",
    )
    retries: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How often a call is made again after 429, 5xx or a lost connection.",
    )
    fail_on_status: bool = Field(
        default=False, description="True: an answer of 400 or more fails the node. Else it is passed on."
    )
    has_fixed_output: bool = True

    @field_validator("method", mode="before")
    @classmethod
    def _ignore_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class HTTPRequestNode(Node[HTTPRequestConfig]):
    """Makes an HTTP call and passes on {status, headers, body, json}; `json` is null where the body is none.

    An answer of 400 or more is an answer: a router can tell by `status`. Only public addresses can be reached, and
    those that the operator allows. Writes carry an `Idempotency-Key` that stays the same over retries and crashes.
    """

    category = "Integrations"
    touches_outside = True
    default_timeout_s = 60.0

    def __init__(self, spec: NodeSpec, config: HTTPRequestConfig) -> None:
        super().__init__(spec, config)
        self._call = TemplatedFields(config, *_TEMPLATES)

    @classmethod
    def problems(cls, spec: NodeSpec, config: HTTPRequestConfig) -> Iterable[Problem]:
        return template_problems(spec, config, _TEMPLATES)

    @classmethod
    def template_fields(cls) -> Sequence[str]:
        return _TEMPLATES

    async def run(self, inputs: Fields, context: Context) -> Fields:
        response = await self._send(self._call.render(inputs), context)
        if self.config.fail_on_status and response.status >= 400:
            raise NodeFailed(
                f"the call was answered with HTTP {response.status}", details={"status": response.status}
            )
        return _outputs(response)

    async def _send(self, call: Mapping[str, Any], context: Context) -> Response:
        async def send() -> Response:
            response = await context.services.http.request(
                self.config.method,
                call["url"],
                headers=_headers(call, self.config.method, context.task_id),
                query={name: _plain(value) for name, value in call["query"].items()},
                content=_content(call["body"]),
                timeout_s=context.timeout_s,
            )
            if response.status == 429 or response.status >= 500:
                raise _Unwell(response, retry_after_s(response.headers, context.now()))
            return response

        try:
            return await persist(send, attempts=1 + self.config.retries)
        except _Unwell as unwell:
            return unwell.response


class _Unwell(NodeFailed):
    """The other side answered that it can't answer now."""

    def __init__(self, response: Response, asked_s: float | None) -> None:
        super().__init__(f"HTTP {response.status}", retryable=True, retry_after_s=asked_s)
        self.response = response


def _headers(call: Mapping[str, Any], method: str, task_id: str) -> dict[str, str]:
    headers = {name: str(_plain(value)) for name, value in call["headers"].items()}
    given = {name.lower() for name in headers}
    if method in _WRITES and "idempotency-key" not in given:
        headers["Idempotency-Key"] = task_id
    if "content-type" not in given and (content_type := _content_type(call["body"])):
        headers["Content-Type"] = content_type
    return headers


def _content_type(body: Any) -> str | None:
    if body is None or body == "":
        return None
    if not isinstance(body, str):
        return "application/json"
    return "text/plain; charset=utf-8" if _as_json(body) is None else "application/json"


def _content(body: Any) -> bytes | None:
    if body is None:
        return None
    try:
        return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
    except UnicodeEncodeError:
        raise NodeFailed("body: it is not valid Unicode") from None


def _plain(value: Any) -> Any:
    """A value as it stands in a header or query: scalars and lists of them as they are, anything else as JSON."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return jsontext.dump(value) if isinstance(value, dict) else value


def _outputs(response: Response) -> Fields:
    text = _text(response)
    return {
        "status": response.status,
        "headers": dict(response.headers),
        "body": text,
        "json": _as_json(text, declared="json" in response.headers.get("content-type", "").lower()),
    }


def _as_json(text: str, *, declared: bool = False) -> Any:
    """Return what JSON text says, None where it is none. A bare word or number is JSON only where it is declared."""
    if not declared and not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return jsontext.parse(text)
    except Invalid:
        return None


def _text(response: Response) -> str:
    """Return the body as text in its declared character set, UTF-8 where there is none or an unknown one."""
    _, _, declared = response.headers.get("content-type", "").lower().partition("charset=")
    try:
        return response.body.decode(declared.split(";")[0].strip(" \"'") or "utf-8", "replace")
    except LookupError:
        return response.body.decode("utf-8", "replace")
