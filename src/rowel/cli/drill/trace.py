"""The world that the sample workflows call: a service on loopback that remembers every call."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from random import Random
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from rowel.cli.drill.history import Call

#: What a call asks for that is to be refused, and how it is.
REFUSED = "refused"
REFUSAL = 422


@dataclass
class _Open:
    """A call, as far as it has come."""

    task_id: str
    receipt: int
    begun: float
    ended: float | None = None


class Trace:
    """The service. Every call takes a moment and gets a receipt with a number of its own."""

    def __init__(self, seed: int, delay_s: float) -> None:
        """A call takes between nothing and twice `delay_s`."""
        self._delays = Random(seed)
        self._delay_s = delay_s
        self._receipts = count(1)
        self._lock = Lock()
        self._calls: list[_Open] = []
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def count(self) -> int:
        """How often it was called."""
        return len(self._calls)

    def calls(self) -> Iterator[Call]:
        """Every call so far."""
        with self._lock:
            found = list(self._calls)
        for call in found:
            yield Call(task_id=call.task_id, receipt=call.receipt, begun=call.begun, ended=call.ended)

    def begin(self, task_id: str, begun: float) -> tuple[_Open, float]:
        """Note a call; return it, and the seconds that it takes."""
        with self._lock:
            call = _Open(task_id, next(self._receipts), begun)
            self._calls.append(call)
            return call, self._delays.uniform(0, 2 * self._delay_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who calls is killed in the middle of it: that is what a drill is for."""


def _handler_of(trace: Trace) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: A small answer in one packet: else the caller's delayed acknowledgement adds 40 ms.
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

        def parse_request(self) -> bool:
            self.begun = time.monotonic()
            return super().parse_request()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            call, delay_s = trace.begin(self.headers.get("idempotency-key", ""), self.begun)
            time.sleep(delay_s)
            body = json.dumps({"receipt": call.receipt}).encode()
            is_refused = REFUSED in parse_qs(urlsplit(self.path).query).get("wish", ())
            with suppress(OSError):
                self.send_response(REFUSAL if is_refused else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
                call.ended = time.monotonic()

    return Handler
