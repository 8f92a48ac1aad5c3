"""The composition root: from settings to a server that runs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop
from fastapi import FastAPI

from rowel.api.http import create_api
from rowel.api.options import Limits, Options
from rowel.api.server import Server
from rowel.core.errors import Unavailable
from rowel.engine.cluster.pace import Pace
from rowel.engine.compose import Capacity, Role, build_engine
from rowel.engine.engine import Engine
from rowel.engine.observer import Observer
from rowel.engine.upkeep import Upkeep
from rowel.observe.door import open_door
from rowel.observe.exposition import Exposition
from rowel.observe.logs import begin_logging
from rowel.observe.looking import Looking
from rowel.observe.metrics import Metrics
from rowel.settings import Settings

#: Seconds beyond the grace of running tasks in which a process that was asked to end does end.
LAST_S = 4.0
#: The exit code of a server that could not begin: its port is taken, or its data directory.
CANNOT_BEGIN = 3

log = logging.getLogger(__name__)


def create_engine(settings: Settings, role: Role | None = None, observer: Observer | None = None) -> Engine:
    """The engine that the settings ask for, not opened yet. Without a `role`: the one of a server. The `observer` is
    told what happens."""
    return build_engine(
        settings.data,
        database_url=settings.database_url,
        files_url=settings.files_url,
        environment=settings.environment,
        http_allow=settings.http_allow,
        limits=settings.rate_limits,
        upkeep=Upkeep(
            recoveries=settings.max_recoveries,
            runs_each=settings.recovery_each_s,
            pauses_each=settings.pauses_each_s,
            grace=settings.grace_s,
        ),
        faults=settings.faults,
        role=role or (Role.ACCEPTS if settings.is_on_postgres else Role.ALONE),
        capacity=Capacity(
            slots=settings.slots,
            interactive=settings.concurrency,
            batch=settings.batch_concurrency,
            queue=settings.queue_limit,
            upload=settings.upload_limit,
            cache=settings.cache_limit,
        ),
        pace=Pace(
            heartbeat=settings.heartbeat_s,
            stalled=settings.stalled_s,
            sweep=settings.sweep_s,
            fetch_poll=settings.fetch_poll_s,
            reconcile=settings.reconcile_s,
            fallback=settings.fallback_s,
        ),
        observer=observer,
    )


def create_app(settings: Settings) -> FastAPI:
    """The whole of Rowel as an ASGI app: its lifespan opens and closes the engine."""
    looking = Looking()
    engine = create_engine(settings, observer=looking.observer)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await engine.open(settings.url())
        try:
            yield
        finally:
            app.state.closing.set()
            await engine.close()
            await asyncio.to_thread(looking.close)

    return create_api(engine, _looked_into(settings, looking.metrics, engine), lifespan)


def create_options(settings: Settings) -> Options:
    """How the API serves by these settings."""
    limits = Limits(
        body=settings.body_limit, definition=settings.definition_limit, upload=settings.upload_limit
    )
    return Options(hosts=settings.hosts, limits=limits, templates=settings.templates or find_templates())


def _looked_into(settings: Settings, metrics: Metrics, engine: Engine) -> Options:
    """The same, with metrics of the API and of the engine."""
    render = Exposition(metrics, engine.waiting).render
    return dataclasses.replace(create_options(settings), watcher=metrics, metrics=render)


def find_templates() -> Path | None:
    """The examples that come with Rowel: in its package, or in the checkout it runs from."""
    package = Path(__file__).parent
    places = (package / "examples", package.parent.parent / "examples")
    return next((place for place in places if place.is_dir()), None)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code: 0, or 3 where the server could not begin."""
    begin_logging(settings.log_format, settings.environment)
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        return _complain(f"Rowel can't listen on {where}: {_reason(error)}. Choose another with ROWEL_PORT.")
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, listener))


def work(settings: Settings) -> int:
    """Do jobs until SIGTERM or SIGINT, and return the exit code: 0, or 3 where the worker could not begin."""
    begin_logging(settings.log_format, settings.environment)
    if not settings.is_on_postgres:
        return _complain(
            "A worker needs a Postgres that it shares with `rowel serve`: set ROWEL_DATABASE_URL. On SQLite the server "
            "itself moves the runs."
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(settings))


async def _work(settings: Settings) -> int:
    looking = Looking()
    try:
        engine = create_engine(settings, Role.WORKS, looking.observer)
        door = await _open_door(settings, looking.metrics)
        await engine.open()
    except Exception as error:  # whatever it is, the operator reads a sentence
        log.debug("the engine could not be opened", exc_info=True)
        return _complain(f"The worker could not begin. {error}")
    # Before, a signal ends it at once.
    asked = _asked_to_end()
    _spare_collections()
    try:
        sys.stdout.write(
            f"Rowel works: {settings.concurrency} runs and {settings.batch_concurrency} lanes of batches at a time. "
            "Ctrl+C ends it.\n"
        )
        sys.stdout.flush()
        await asked.wait()
        _end_within(settings.grace_s + LAST_S)
    finally:
        if door is not None:
            door.close()
        await engine.close()
        await asyncio.to_thread(looking.close)
    return 0


async def _open_door(settings: Settings, metrics: Metrics) -> asyncio.Server | None:
    if settings.metrics_port is None:
        return None
    try:
        return await open_door(settings.host, settings.metrics_port, Exposition(metrics, None).render)
    except OSError as error:
        where = f"{settings.host}:{settings.metrics_port}"
        raise Unavailable(f"It can't show metrics on {where}: {_reason(error)}.") from error


def _asked_to_end() -> asyncio.Event:
    """Set by the first signal; a second one ends the process at once."""
    asked = asyncio.Event()

    def stop() -> None:
        if asked.is_set():
            os._exit(0)
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return asked


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections may queue already. Raises `OSError`."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server((address[0], port), family=family, backlog=2048)


async def _serve(settings: Settings, listener: socket.socket) -> int:
    url = settings.url(listener.getsockname()[1])
    looking = Looking()
    try:
        engine = create_engine(settings, observer=looking.observer)
        await engine.open(url)
    except Exception as error:  # whatever it is, the operator reads a sentence
        log.debug("the engine could not be opened", exc_info=True)
        return _complain(f"Rowel could not begin. {error}")
    _spare_collections()

    async def drain() -> None:
        _end_within(settings.grace_s + LAST_S)
        await engine.drain()

    server = Server(
        create_api(engine, _looked_into(settings, looking.metrics, engine)), drain, settings.grace_s
    )
    try:
        sys.stdout.write(f"Rowel serves {settings.data} at {url}. Ctrl+C ends it.\n")
        sys.stdout.flush()
        await server.serve(sockets=[listener])
    finally:
        await engine.close(at_once=server.force_exit)
        await asyncio.to_thread(looking.close)
    return 0


def _end_within(seconds: float) -> None:
    """End the process by then, whatever hangs: what it accepted is in the store."""

    def end() -> None:
        log.warning("something hangs: the process ends without it")
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _spare_collections() -> None:
    """Let garbage collections pass over what is there for good, and come less often: a fifth more runs a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _complain(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return CANNOT_BEGIN
