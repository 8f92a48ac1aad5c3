"""One route set for all spellings of a path: with the prefix `/api` or without, with the last slash or without."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

#: The routes under these end in a slash; all others don't.
SLASHED = frozenset({"wf", "run", "ds", "of", "node", "templates", "events", "prune"})

#: What the prefix may lead.
PREFIXED = SLASHED | {"files", "health"}


class Paths:
    """Middleware that maps every spelling of a path to the one that the routes have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": canonical(scope["path"])}
        await self._app(scope, receive, send)


def canonical(path: str) -> str:
    """The path as the routes spell it. What names nothing stays unknown."""
    _, first, *rest = path.split("/", 3) if path.startswith("/") else ("", "")
    if first == "api" and rest and rest[0] in PREFIXED:
        first, path = rest[0], path.removeprefix("/api")
    bare = path.removesuffix("/") or "/"
    # The last line break of a path would be overlooked when routes are matched.
    return f"{bare}/" if first in SLASHED or bare == "/files" or bare.endswith("\n") else bare
