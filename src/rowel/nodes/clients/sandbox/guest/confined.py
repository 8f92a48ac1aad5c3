"""The confined process: it reports what it can't do, takes one call, answers and ends."""

from __future__ import annotations

import builtins
import ctypes
import importlib
import io
import json
import os
import select
import socket
import sys
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from . import body, frames, runtime

#: The name under which the code's lines appear in tracebacks.
FILE = "<node>"
MODULE = "node"
_CAPABILITY_VERSION = 0x20080522
_REQUEST_LIMIT = 1 << 30
_LINES_SHOWN = 8
#: By code that is not for Monty, above all.
_OFTEN_IMPORTED = (
    "dataclasses", "contextlib", "statistics", "uuid", "urllib.parse", "datetime", "random", "hashlib", "csv",
    "textwrap",
)  # fmt: skip
_TEXT_LIMIT = 10_000


class Channel:
    """The pipes to the server. The code's own standard output leads nowhere."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def receive(self) -> tuple[bytes, bytes]:
        frame = frames.read(lambda count: os.read(0, count), _REQUEST_LIMIT)
        if frame is None:
            os._exit(0)
        return frame

    def send(self, kind: bytes, payload: bytes) -> None:
        left = memoryview(frames.pack(kind, payload))
        with self._lock:
            while left:
                left = left[os.write(self._out, left) :]


class Printer(io.TextIOBase):
    """Standard output and error of the code, sent line by line up to a limit."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._line = ""
        self._room = runtime.PRINT_LIMIT

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._line += text[: self._room]
        self._room -= min(len(text), self._room)
        if "\n" in self._line:
            self.flush()
        return len(text)

    def flush(self) -> None:
        line, self._line = self._line, ""
        if line:
            self._channel.send(frames.PRINTED, line.encode("utf-8", "backslashreplace"))


def main() -> NoReturn:
    """Serve one call on standard input and output. Whatever the code left running ends with this process."""
    # Address space is what is counted: the usual 8 MiB a thread would soon be over the limit.
    threading.stack_size(1 << 20)
    _drop_capabilities()
    channel = Channel()
    channel.send(frames.READY, json.dumps(_confinement()).encode())
    _load_ahead(0)
    kind, payload = channel.receive()
    printer = Printer(channel)
    sys.stdout = sys.stderr = printer
    sys.stdin = io.StringIO()
    reply = _reply(kind, json.loads(payload))
    printer.flush()
    channel.send(*reply)
    os._exit(0)


def _load_ahead(source: int) -> None:
    """While no call is there, load what code often imports: it takes longer than most calls."""
    for name in _OFTEN_IMPORTED:
        if select.select([source], [], [], 0)[0]:
            return
        importlib.import_module(name)


def _reply(kind: bytes, request: dict[str, Any]) -> tuple[bytes, bytes]:
    try:
        compiled = _compile(request["code"])
    except SyntaxError as error:
        return _raised("SyntaxError", str(error.msg), [(error.lineno or 0, "")])
    if kind == frames.CHECK:
        return frames.RESULT, b"{}"
    try:
        return _run(compiled, request["input_model"])
    except BaseException as error:  # noqa: BLE001  # the code may raise anything, also to leave
        return _raised(type(error).__name__, _text(error), _lines(error))


def _drop_capabilities() -> None:
    """Root without capabilities can't raise its limits or its priority, nor set the clock."""
    nothing = (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), nothing)


def _confinement() -> dict[str, bool]:
    """What this process tried and was refused."""
    return {
        "files": _is_refused(lambda: os.listdir("/")),
        "network": _is_refused(lambda: socket.socket().connect(("127.0.0.1", 9))),
        "priority": _is_refused(lambda: os.setpriority(os.PRIO_PROCESS, 0, -1)),
    }


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _compile(code: str) -> types.CodeType:
    """Long sums are deep trees: the limit is raised while they are walked, and theirs again when they run."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(5 * usual)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(body.function(body.parse(code)), FILE, "exec")
    except RecursionError:
        raise SyntaxError("the code is nested too deeply") from None
    finally:
        sys.setrecursionlimit(usual)


def _run(compiled: types.CodeType, input_model: Any) -> tuple[bytes, bytes]:
    module = types.ModuleType(MODULE)
    module.__dict__["__builtins__"] = builtins
    module.__dict__.update(
        {name: value for name, value in vars(runtime).items() if name.startswith("_rowel")}
    )
    # Dataclasses and enums look for the module they were made in.
    sys.modules[MODULE] = module
    exec(compiled, module.__dict__)
    answer = runtime._rowel_answer(module.__dict__[body.FUNCTION](input_model))
    if "problem" in answer:
        return frames.PROBLEM, answer["problem"].encode("utf-8", "backslashreplace")
    return frames.RESULT, answer["text"].encode()


def _raised(kind: str, text: str, lines: list[tuple[int, str]]) -> tuple[bytes, bytes]:
    return frames.RAISED, json.dumps({"kind": kind, "text": text, "lines": lines}).encode()


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_TEXT_LIMIT]
    except BaseException:  # noqa: BLE001  # its __str__ is the code's own
        return ""


def _lines(error: BaseException) -> list[tuple[int, str]]:
    """Where in the code it went wrong: lines and functions, the innermost last."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            lines.append((trace.tb_lineno, trace.tb_frame.f_code.co_name))
        trace = trace.tb_next
    return lines[-_LINES_SHOWN:]
