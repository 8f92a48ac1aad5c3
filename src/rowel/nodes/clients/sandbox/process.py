"""One confined process, from its start to its end: one call each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from typing import TYPE_CHECKING

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.sandbox import capability, failures
from rowel.nodes.clients.sandbox.guest import frames, runtime
from rowel.nodes.clients.sandbox.printed import Printed

if TYPE_CHECKING:
    from sandlock import Process, Result  # type: ignore[import-untyped]  # it ships no types

_START = "import sys; sys.path.insert(0, {path!r}); from guest.confined import main; del sys.path[0]; main()"
#: What a process may send in one call: its result, what it printed, and how it is wrapped.
_FRAME_LIMIT = runtime.RESULT_LIMIT + 1024
_TRAFFIC_LIMIT = 2 * runtime.RESULT_LIMIT + 8 * runtime.PRINT_LIMIT

#: How long a process that cut its connection may take to end by itself.
_END_S = 1.0

Reply = tuple[bytes, bytes]


class NotConfined(Exception):
    """A process could not be started, or was not refused what it must be refused."""


class ConfinedProcess:
    """A Python that waits for its one call. Methods block: call them in threads, `kill` and `stop` in any."""

    def __init__(self, process: Process, memory_mib: int) -> None:
        self._process = process
        self._memory_mib = memory_mib
        self._ending = threading.Lock()
        self._received = 0

    @classmethod
    def start(cls, memory_mib: int, processes: int) -> ConfinedProcess:
        """Start one. It lives no longer than the thread that started it. Raises `NotConfined`."""
        from sandlock import StdioMode

        command = [capability.interpreter(), "-I", "-S", "-B", "-X", "utf8", "-c"]
        command.append(_START.format(path=os.path.dirname(os.path.realpath(__file__))))
        try:
            process = capability.policy(memory_mib, processes).popen(
                command, stdin=StdioMode.PIPED, stdout=StdioMode.PIPED, stderr=StdioMode.NULL
            )
        except (RuntimeError, OSError) as error:
            raise NotConfined(str(error)) from None
        return cls(process, memory_mib)

    def wait_until_ready(self) -> None:
        """Read the process's report on itself. Raises `NotConfined`."""
        frame = self._read()
        if frame is None or frame[0] != frames.READY:
            raise NotConfined(f"a confined process did not start: {self._end()}")
        report = json.loads(frame[1])
        free = [name for name, refused in report.items() if refused is not True]
        if free:
            raise NotConfined(f"a confined process was not refused {' and '.join(free)}")

    def converse(self, request: bytes, printed: Printed) -> Reply:
        """Send the call and return how it ended.

        Raises `NodeFailed` where the process died of it, and `NotConfined` where it didn't live to receive it.
        """
        self.wait_until_ready()
        try:
            self._write(request)
        except OSError:
            raise NotConfined("a confined process died before its call") from None
        while True:
            try:
                frame = self._read()
            except frames.FrameTooLarge:
                raise failures.not_a_result("the code sent more than a node may") from None
            if frame is None:
                raise self._death()
            if frame[0] != frames.PRINTED:
                return frame
            printed.write(frame[1].decode("utf-8", "replace"))

    def kill(self) -> None:
        """End it at once, without waiting."""
        self._process.kill()

    def stop(self) -> None:
        """End it and all it has started, and give back what it held."""
        self._end()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()

    def _end(self) -> Result:
        """Kill whatever is left and say how the process itself ended."""
        self._process.kill()
        return self._wait(0)

    def _wait(self, timeout_s: float) -> Result:
        """Past the timeout even a process that has left its group is killed."""
        with self._ending:
            return self._process.wait(timeout=timeout_s)

    def _death(self) -> NodeFailed:
        from sandlock import ExitReason

        end = self._wait(_END_S)
        if end.reason == ExitReason.TIMEOUT:
            return NodeFailed("the code cut its connection to Rowel before its function returned")
        if end.reason == ExitReason.KILLED:
            return failures.needs_too_much_memory(self._memory_mib)
        if end.reason == ExitReason.SIGNALED:
            return NodeFailed(f"the code crashed Python ({signal.Signals(end.signal).name})")
        return NodeFailed(f"the code ended Python (exit code {end.exit_code}) before its function returned")

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._process.stdin.write(left) :]
        self._process.stdin.close()

    def _read(self) -> tuple[bytes, bytes] | None:
        return frames.read(self._read_some, _FRAME_LIMIT)

    def _read_some(self, count: int) -> bytes | None:
        if self._received > _TRAFFIC_LIMIT:
            raise frames.FrameTooLarge
        data: bytes | None = self._process.stdout.read(count)
        self._received += len(data or b"")
        return data
