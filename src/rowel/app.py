"""The composition root: from settings to a server that runs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop
from fastapi import FastAPI

from rowel.api.http import create_api
from rowel.api.options import Limits, Options
from rowel.api.server import Server
from rowel.engine.compose import build_engine
from rowel.engine.engine import Engine
from rowel.settings import Settings

#: The exit code of a server that could not begin: its port is taken, or its data directory.
CANNOT_BEGIN = 3

log = logging.getLogger(__name__)


def create_engine(settings: Settings) -> Engine:
    """The engine that the settings ask for, not opened yet."""
    return build_engine(
        settings.data,
        database_url=settings.database_url,
        environment=settings.environment,
        http_allow=settings.http_allow,
        slots=settings.slots,
        queue_limit=settings.queue_limit,
        upload_limit=settings.upload_limit,
    )


def create_app(settings: Settings) -> FastAPI:
    """The whole of Rowel as an ASGI app: its lifespan opens and closes the engine."""
    engine = create_engine(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await engine.open(settings.url())
        try:
            yield
        finally:
            app.state.closing.set()
            await engine.close()

    return create_api(engine, create_options(settings), lifespan)


def create_options(settings: Settings) -> Options:
    """How the API serves by these settings."""
    limits = Limits(
        body=settings.body_limit, definition=settings.definition_limit, upload=settings.upload_limit
    )
    return Options(hosts=settings.hosts, limits=limits, templates=settings.templates or find_templates())


def find_templates() -> Path | None:
    """The examples that come with Rowel: in its package, or in the checkout it runs from."""
    package = Path(__file__).parent
    places = (package / "examples", package.parent.parent / "examples")
    return next((place for place in places if place.is_dir()), None)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code: 0, or 3 where the server could not begin."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What clients send wrongly is told to them.
    for chatty in ("python_multipart", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        return _complain(f"Rowel can't listen on {where}: {_reason(error)}. Choose another with ROWEL_PORT.")
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, listener))


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections may queue already. Raises `OSError`."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server((address[0], port), family=family, backlog=2048)


async def _serve(settings: Settings, listener: socket.socket) -> int:
    url = settings.url(listener.getsockname()[1])
    try:
        engine = create_engine(settings)
        await engine.open(url)
    except Exception as error:  # whatever it is, the operator reads a sentence
        log.debug("the engine could not be opened", exc_info=True)
        return _complain(f"Rowel could not begin. {error}")
    _spare_collections()
    try:
        server = Server(create_api(engine, create_options(settings)), engine.drain)
        sys.stdout.write(f"Rowel serves {settings.data} at {url}. Ctrl+C ends it.\n")
        sys.stdout.flush()
        await server.serve(sockets=[listener])
    finally:
        await engine.close()
    return 0


def _spare_collections() -> None:
    """Let garbage collections pass over what is there for good, and come less often: a fifth more runs a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _complain(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return CANNOT_BEGIN
