"""Stand-ins on loopback for what workflows call: model providers, Firecrawl, Slack and plain HTTP services.

    with Providers() as providers:
        providers.answer("first", Reply(status=500), lambda call: call.user.upper())
        ...
        assert providers.asked[0].user == "Say first"

As a process: `python -m tests.support.providers --port 0` prints its URL, then what to put into the environment.
`GET /_calls` answers all calls recorded, `DELETE /_calls` forgets them.
"""

from __future__ import annotations

import argparse
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import dialects


@dataclass(frozen=True)
class Call:
    """One request that a stand-in received."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    #: By lower-case name.
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def model(self) -> str:
        return dialects.model_of(self.path, self.json)

    @property
    def system(self) -> str:
        """All system text of a model call."""
        return dialects.system_of(self.json)

    @property
    def user(self) -> str:
        """The text of the last user message of a model call."""
        return dialects.user_of(self.json)

    def as_json(self) -> dict[str, Any]:
        body = self.json if self.json is not None else self.body.decode("utf-8", "replace")
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": body,
        }


@dataclass(frozen=True)
class Reply:
    """An answer that is not the usual one."""

    status: int = 200
    json: Any = None
    #: Bytes instead of `json`.
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    #: Cut the connection instead of answering; with a body, in the middle of it.
    cut: bool = False


#: What a script is made of: a model's text, JSON to answer with, a full reply, or a function that decides.
Step = str | Mapping[str, Any] | Reply | Callable[[Call], Any]


class Providers:
    """The server. Each path answers by its script, step by step, the last step for ever; without one it is kind."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._lock = threading.Lock()
        self._scripts: dict[str, list[Step]] = {}
        self._usage: dict[str, int] = {"input": 11, "output": 7}
        #: Every request, in the order received.
        self.calls: list[Call] = []
        #: Set when a request has been recorded: tests wait for it instead of sleeping.
        self.received = threading.Event()
        #: What a held request waits for (`Reply` steps made by `held`).
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_for(self))
        self._server.daemon_threads = True
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Providers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead every client here."""
        return {
            "OPENAI_API_BASE": f"{self.url}/v1",
            "OPENAI_API_KEY": "sk-openai-0123456789",
            "OLLAMA_BASE_URL": self.url,
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "sk-anthropic-0123456789",
            "GEMINI_API_BASE": self.url,
            "GEMINI_API_KEY": "gemini-0123456789",
            "DEEPSEEK_API_BASE": f"{self.url}/v1",
            "DEEPSEEK_API_KEY": "sk-deepseek-0123456789",
            "FIRECRAWL_API_URL": self.url,
            "FIRECRAWL_API_KEY": "fc-0123456789",
            "SLACK_API_URL": f"{self.url}/api",
            "SLACK_BOT_TOKEN": "xoxb-0123456789",
            "SLACK_USER_TOKEN": "xoxp-0123456789",
        }

    def answer(self, *steps: Step) -> None:
        """Script all models, whatever their protocol: text, a mapping (sent as JSON text), a reply or a function."""
        self.on(dialects.MODELS, *steps)

    def on(self, path: str, *steps: Step) -> None:
        """Script one path."""
        with self._lock:
            self._scripts[path] = list(steps)

    def to(self, path: str) -> list[Call]:
        """The calls that one path received."""
        with self._lock:
            return [call for call in self.calls if call.path == path]

    @property
    def asked(self) -> list[Call]:
        """The calls that models received."""
        with self._lock:
            return [call for call in self.calls if dialects.is_model_call(call.path)]

    def forget(self) -> None:
        with self._lock:
            self.calls.clear()
            self.received.clear()

    def held(self, reply: Step) -> Callable[[Call], Any]:
        """A step that answers only when the test says `released.set()`."""

        def wait(call: Call) -> Any:
            self.released.wait(30)
            return reply(call) if callable(reply) else reply

        return wait

    def reply_to(self, call: Call) -> Reply:
        """Decide what a request gets."""
        if call.path == "/_calls":
            return self._tell(call)
        with self._lock:
            self.calls.append(call)
            step = self._next_step(call)
        self.received.set()
        given = step(call) if callable(step) else step
        if isinstance(given, Reply):
            return given
        if dialects.is_model_call(call.path):
            return Reply(json=dialects.completion(call, _text(call, given), self._usage))
        return Reply(json=given if given is not None else dialects.kind_answer(call))

    def _next_step(self, call: Call) -> Step | None:
        key = dialects.MODELS if dialects.is_model_call(call.path) else call.path
        steps = self._scripts.get(call.path) or self._scripts.get(key)
        if not steps:
            return None
        return steps.pop(0) if len(steps) > 1 else steps[0]

    def _tell(self, call: Call) -> Reply:
        if call.method == "DELETE":
            self.forget()
            return Reply(status=204)
        with self._lock:
            return Reply(json=[call.as_json() for call in self.calls])


def _text(call: Call, given: Any) -> str:
    if given is None:
        return dialects.kind_text(call)
    return given if isinstance(given, str) else json.dumps(given)


def _body(reply: Reply) -> bytes:
    if reply.status == 204:
        return b""
    return reply.body if reply.body is not None else json.dumps(reply.json).encode()


def _sent(reply: Reply, body: bytes, method: str) -> bytes:
    """What of a body is sent: nothing after HEAD, and half of it where the connection is cut."""
    length = 0 if method == "HEAD" else len(body) // 2 if reply.cut else len(body)
    return body[:length]


def _handler_for(providers: Providers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        #: A small answer in one packet: else the client's delayed acknowledgement adds 40 ms.
        wbufsize = -1
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Stay silent."""

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

        def answer(self) -> None:
            call = self._call()
            if call is not None:
                self._send(providers.reply_to(call))

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.delay_s)
            body = _body(reply)
            if reply.cut and not reply.body:
                self.close_connection = True
                return
            self.send_response(reply.status)
            headers = {"content-type": "application/json", "content-length": str(len(body)), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(_sent(reply, body, self.command))
            self.wfile.flush()
            self.close_connection = self.close_connection or reply.cut

        def _call(self) -> Call | None:
            """The request; None where who asked died over it, as killed servers do."""
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qs(parts.query, keep_blank_values=True)
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
                return None
            return Call(self.command, parts.path, query, headers, body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="Stand-ins for model providers, Firecrawl and Slack.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    with Providers(parser.parse_args().port) as providers:
        print(providers.url, flush=True)  # noqa: T201
        for name, value in providers.environment.items():
            print(f"{name}={value}", flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
