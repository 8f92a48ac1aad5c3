"""Uvicorn as Rowel wants it: it drains before it ends, and answers with JSON even what is no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rowel.core.jsontext import dump

#: Seconds that open requests get beyond what running tasks get when the server ends: a little to answer.
ANSWER_S = 2
#: Seconds that a connection may idle: longer than clients' pools keep theirs.
IDLE_S = 75

#: Bytes of a target that httptools can parse.
LONGEST_PARSED = 0xFFFF

STOPS = (signal.SIGINT, signal.SIGTERM)


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with targets of any length, whose refusal of what can't be parsed is JSON as well."""

    def on_headers_complete(self) -> None:
        """Take targets of any length: httptools' parser of URLs ends at 64 KiB."""
        target = self.url
        if len(target) <= LONGEST_PARSED:
            super().on_headers_complete()
            return
        path, _, query = target.partition(b"?")
        self.url = b"/"
        super().on_headers_complete()
        # The app's task has been made, and begins later.
        self.scope["path"] = unquote(path.decode("ascii"))
        self.scope["raw_path"], self.scope["query_string"] = path, query

    def send_400_response(self, msg: str) -> None:
        body = dump({"detail": "This is no request of HTTP/1.1.", "code": "bad_request"}).encode()
        status = HTTPStatus.BAD_REQUEST
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"x-content-type-options: nosniff\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class Server(uvicorn.Server):
    """Serves one app until SIGTERM or SIGINT. Then event streams end, `drain` is awaited, open requests get their
    answers; a second signal ends it at once."""

    def __init__(self, app: FastAPI, drain: Callable[[], Awaitable[None]], grace_s: float = 25.0) -> None:
        """`grace_s` is how long `drain` takes at most."""
        super().__init__(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=math.ceil(grace_s + ANSWER_S),
            )
        )
        self._closing: asyncio.Event = app.state.closing
        self._drain = drain
        self._draining: asyncio.Future[None] | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        self._draining = asyncio.ensure_future(self._drain())
        await super().shutdown(sockets)
        with contextlib.suppress(asyncio.CancelledError):
            await self._draining

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in STOPS:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in STOPS:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        if self.force_exit and self._draining is not None:
            self._draining.cancel()
