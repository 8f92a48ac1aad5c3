"""CPython, confined: a fresh process for every call, a few of them started ahead."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.clients.sandbox import answers, capability, failures
from rowel.nodes.clients.sandbox.guest import frames
from rowel.nodes.clients.sandbox.printed import Printed
from rowel.nodes.clients.sandbox.process import ConfinedProcess, NotConfined, Reply

#: How many processes and forks one call may have at a time.
_PROCESSES_A_CALL = 16
_CHECK_S = 10.0
#: Seconds after a call in which its run goes on undisturbed: to start a process takes this one ten times as long.
_REFILL_S = 0.02


class CPython:
    """Runs code in confined processes. Nothing is started before the first call."""

    name = "cpython"

    def __init__(self, *, max_processes: int, spare_processes: int, memory_mib: int) -> None:
        self._memory_mib = memory_mib
        self._spare_processes = spare_processes
        self._spares: deque[Future[ConfinedProcess]] = deque()
        self._refill: asyncio.TimerHandle | None = None
        self._slots = asyncio.Semaphore(max_processes)
        # Saving a workflow doesn't wait for nodes that run.
        self._check = asyncio.Semaphore(1)
        # Starts and ends every process: one that outlives the thread that started it is dead.
        self._warden = ThreadPoolExecutor(1, thread_name_prefix="rowel-warden")
        self._talkers = ThreadPoolExecutor(max_processes + 1, thread_name_prefix="rowel-sandbox")
        self._is_proven = False

    def obstacle(self) -> str | None:
        """Why this machine can't do it, as a clause. The first time a process is started to see (50 ms)."""
        if self._is_proven:
            return None
        reason = capability.obstacle()
        if reason is None:
            reason = self._warden.submit(self._try).result()
            self._is_proven = reason is None
        return reason

    async def inspect(self, code: str) -> None:
        """Raise `Invalid` where CPython can't compile the code."""
        try:
            async with self._check:
                kind, payload = await self._exchange(frames.CHECK, code, {}, _CHECK_S, Printed())
        except (TimeoutError, NodeFailed, NotConfined) as error:
            raise Invalid(f"the code can't be compiled: {str(error) or 'it takes too long'}") from None
        if kind == frames.RAISED:
            raise Invalid(_complaint(payload))

    async def call(
        self, code: str, input_model: Mapping[str, Any], timeout_s: float, printed: Printed
    ) -> dict[str, Any]:
        """Run the code. Raises `NodeFailed`, `TimeoutError`, or `NotConfined` where no process could be had."""
        async with self._slots:
            kind, payload = await self._exchange(frames.CALL, code, input_model, timeout_s, printed)
        if kind == frames.RESULT:
            return answers.accept(payload.decode("utf-8", "replace"))
        if kind == frames.PROBLEM:
            raise failures.not_a_result(payload.decode("utf-8", "replace"))
        failure = _failure(payload, code)
        if failure.message.partition(":")[0] == "MemoryError":
            raise failures.needs_too_much_memory(self._memory_mib)
        raise failure

    def rest(self) -> None:
        """Let the processes go that wait for a call."""
        if self._refill is not None:
            self._refill.cancel()
        while self._spares:
            self._warden.submit(_stop, self._spares.popleft())

    async def close(self) -> None:
        """End every process and thread."""
        self._spare_processes = 0
        self.rest()
        await asyncio.to_thread(self._warden.shutdown)
        await asyncio.to_thread(self._talkers.shutdown)

    async def _exchange(
        self, kind: bytes, code: str, input_model: Mapping[str, Any], timeout_s: float, printed: Printed
    ) -> Reply:
        request = frames.pack(kind, _encode(code, input_model))
        try:
            return await self._ask(request, timeout_s, printed)
        except NotConfined:
            # A spare process may have died while it waited. The code was not run.
            return await self._ask(request, timeout_s, printed)

    async def _ask(self, request: bytes, timeout_s: float, printed: Printed) -> Reply:
        process = await self._take()
        talk = asyncio.get_running_loop().run_in_executor(self._talkers, process.converse, request, printed)
        try:
            async with asyncio.timeout(timeout_s):
                return await talk
        finally:
            process.kill()
            self._warden.submit(process.stop)
            self._refill_soon()

    async def _take(self) -> ConfinedProcess:
        """A process of one's own: a spare one where there is one."""
        started = self._spares.popleft() if self._spares else self._start()
        try:
            return await asyncio.shield(asyncio.wrap_future(started))
        except asyncio.CancelledError:
            self._spares.appendleft(started)
            raise

    def _refill_soon(self) -> None:
        if self._refill is not None:
            self._refill.cancel()
        self._refill = asyncio.get_running_loop().call_later(_REFILL_S, self._refill_now)

    def _refill_now(self) -> None:
        while len(self._spares) < self._spare_processes:
            self._spares.append(self._start())

    def _start(self) -> Future[ConfinedProcess]:
        return self._warden.submit(ConfinedProcess.start, self._memory_mib, _PROCESSES_A_CALL)

    def _try(self) -> str | None:
        try:
            process = ConfinedProcess.start(self._memory_mib, _PROCESSES_A_CALL)
            try:
                process.wait_until_ready()
            finally:
                process.stop()
        except NotConfined as error:
            return str(error)
        return None


def _stop(started: Future[ConfinedProcess]) -> None:
    with contextlib.suppress(NotConfined):
        started.result().stop()


def _encode(code: str, input_model: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps({"code": code, "input_model": input_model}).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NodeFailed(f"the node's inputs can't be handed to its code: {error}") from None


def _failure(payload: bytes, code: str) -> NodeFailed:
    try:
        kind, text, lines = _told(payload)
    except (ValueError, TypeError, KeyError, RecursionError):
        return NodeFailed("the code ended without a result")
    return failures.raised(kind, text, lines, code)


def _complaint(payload: bytes) -> str:
    """What the compiler says, for someone who is about to save the code."""
    _, text, lines = _told(payload)
    return failures.syntax_error(SyntaxError(text, (None, lines[0][0], None, None)))


def _told(payload: bytes) -> tuple[str, str, list[tuple[int, str]]]:
    """What the process says was raised; it is under the code's control, so nothing about it is certain."""
    told = json.loads(payload)
    lines = [(int(line), str(function)) for line, function in told["lines"]]
    return str(told["kind"]), str(told["text"]), lines
