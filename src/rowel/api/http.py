"""The HTTP API: one ASGI app over an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rowel.api import (
    batches,
    datasets,
    events,
    files,
    health,
    metrics,
    nodes,
    outputs,
    pauses,
    reruns,
    retention,
    runs,
    starts,
    templates,
    workflows,
)
from rowel.api.body import JudgedRoute
from rowel.api.doors import Doors
from rowel.api.errors import LastResort, register
from rowel.api.listeners import Listeners
from rowel.api.options import Options
from rowel.api.paths import Paths
from rowel.api.watching import Watching
from rowel.engine.engine import Engine

#: In the order in which paths are matched: `/wf/paused_workflows/` before `/wf/{workflow_id}/`.
RESOURCES = (
    starts,
    pauses,
    batches,
    runs,
    reruns,
    workflows,
    datasets,
    outputs,
    files,
    nodes,
    templates,
    events,
    retention,
    health,
    metrics,
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class API(FastAPI):
    """FastAPI whose documentation is made when somebody first asks for it, in a thread: that takes a second."""

    def setup(self) -> None:
        """Add the routes of the documentation; ours comes before FastAPI's own, which would hold up the event loop."""

        def tell(_: Request) -> Response:
            return JSONResponse(self.openapi())

        self.add_route("/openapi.json", tell, include_in_schema=False)
        super().setup()

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                routes=[route.documented() for route in self.routes if isinstance(route, JudgedRoute)],
            )
        return self.openapi_schema


def create_api(engine: Engine, options: Options | None = None, lifespan: Lifespan | None = None) -> FastAPI:
    """Make the app. `engine` must be open while requests are served; `lifespan` may see to that.

    Set `app.state.closing` (an `asyncio.Event`) before the server ends: event streams end then.
    """
    options = options or Options()
    watching = [] if options.watcher is None else [Middleware(Watching, watcher=options.watcher)]
    app = API(
        title="Rowel",
        version=version("rowel"),
        description="Runs AI workflows durably.",
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        middleware=[
            Middleware(LastResort),
            Middleware(Doors, hosts=options.hosts),
            Middleware(Paths),
            *watching,
        ],
    )
    register(app)
    for resource in RESOURCES:
        app.router.routes.extend(resource.router.routes)
    app.state.engine = engine
    app.state.options = options
    app.state.closing = asyncio.Event()
    app.state.listeners = Listeners(app.state.closing)
    return app
