"""A wire between Rowel and its Postgres, which a test cuts: at any time, or in the middle of a COMMIT."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

#: How a COMMIT goes over the wire.
COMMIT = b"COMMIT\0"


class Proxy:
    """Carries connections to a port of this machine.

    While `is_cut` there are none; while `is_stalled` nothing moves on them. `cut_commits("before", each=3)` lets every
    third COMMIT not reach the server, `"after"` lets its answer not reach Rowel; either way the connection is gone.
    """

    def __init__(self, url: str) -> None:
        """`url` is that of the database."""
        self._target = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: set[_Pair] = set()
        self._moment, self._each = "", 0
        self._commits = 0
        self._lock = threading.Lock()
        self.is_cut = False
        self.is_stalled = False
        #: How many commits were cut.
        self.cuts = 0

    @property
    def url(self) -> str:
        """The database's URL by way of this wire."""
        port = int(self._listener.getsockname()[1])
        return self._target._replace(netloc=f"{self._target.netloc.rpartition(':')[0]}:{port}").geturl()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread that accepts is not woken by a close.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close every connection."""
        for pair in list(self._pairs):
            pair.close()

    def cut_commits(self, moment: str, *, each: int) -> None:
        """Cut commits `before` or `after` the server has heard of them; 0: none any more."""
        with self._lock:
            self._moment, self._each = moment, each

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target.port or 0))
            except OSError:
                client.close()
                continue
            pair = _Pair(self, client, server)
            self._pairs.add(pair)
            pair.start()

    def take_cut(self) -> str | None:
        """When to cut the commit that is on its way; None: not at all."""
        with self._lock:
            self._commits += 1
            if not self._each or self._commits % self._each:
                return None
            self.cuts += 1
            return self._moment

    def forget(self, pair: _Pair) -> None:
        self._pairs.discard(pair)


class _Pair:
    """One connection: from Rowel, and to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._drops_answer = False

    def start(self) -> None:
        for carry in (self._ask, self._answer):
            threading.Thread(target=carry, daemon=True).start()

    def close(self) -> None:
        self._proxy.forget(self)
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _ask(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65_536):
                if not self._passes(data):
                    break
                self._server.sendall(data)
        self.close()

    def _passes(self, data: bytes) -> bool:
        while self._proxy.is_stalled:
            threading.Event().wait(0.01)
        moment = self._proxy.take_cut() if COMMIT in data else None
        self._drops_answer = moment == "after"
        return moment != "before"

    def _answer(self) -> None:
        with suppress(OSError):
            while (data := self._server.recv(65_536)) and not self._drops_answer:
                self._client.sendall(data)
        self.close()
