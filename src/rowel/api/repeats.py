"""Requests that may come again: one with an `Idempotency-Key` is done once, and answered alike each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import JSON
from rowel.api.errors import mistake
from rowel.api.refusals import Responses
from rowel.api.routes import EngineOf
from rowel.core.records import Answer
from rowel.engine.engine import Engine
from rowel.engine.once import KEY, KEY_RULE, Once

T = TypeVar("T")

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

#: What a route that takes the header adds to its `responses=`.
REPEATABLE: Responses = {
    200: {
        "headers": {
            REPLAYED: {
                "description": "`true` where an earlier request with this key got this answer.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        }
    }
}

#: Does what the request asks for; with a key, its receipt is kept in the same commit.
Command = Callable[[Once | None], Awaitable[T]]
Render = Callable[[T], Response]


class Repeat:
    """How one request is done: at once, or once, where it has a key."""

    def __init__(self, request: Request, engine: Engine, key: str | None) -> None:
        self._request = request
        self._engine = engine
        self._key = key

    async def answer(
        self, command: Command[T], render: Render[T], *, asked: Any = None, in_steps: bool = False
    ) -> Response:
        """Run the command, or answer as the first request with this key was. `asked` is what the request says
        outside its path and its body; `in_steps`: the command takes many commits."""
        if self._key is None:
            return render(await command(None))
        place = [_template(self._request), *self._request.path_params.values()]
        said = [await self._request.json(), asked]
        once = Once.of(place, self._key, said, lambda seen: _plain(render(seen)), in_steps=in_steps)
        reply = await self._engine.do_once(once, command)
        headers = {REPLAYED: "true"} if reply.is_replay else None
        return Response(reply.answer.text.encode(), reply.answer.status, headers, media_type=JSON)


async def _repeat(
    request: Request,
    engine: EngineOf,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description=(
                "The request is done once, however often it comes with this key in 24 hours: 1 to 255 printable ASCII "
                "characters."
            ),
            json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
        ),
    ] = None,
) -> Repeat:
    if (count := len(request.headers.getlist(HEADER))) > 1:
        raise mistake(f"given {count} times; once is enough", "header", HEADER)
    if key is not None and not KEY.fullmatch(key):
        raise mistake(KEY_RULE, "header", HEADER)
    return Repeat(request, engine, key)


def _template(request: Request) -> str:
    route: APIRoute = request.scope["route"]
    return route.path


def _plain(response: Response) -> Answer:
    return Answer(response.status_code, bytes(response.body).decode())


RepeatOf = Annotated[Repeat, Depends(_repeat)]
