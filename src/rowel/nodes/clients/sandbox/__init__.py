"""Untrusted Python: two engines behind one seam.

Monty runs most everyday code, quickly and anywhere. What it lacks runs in confined CPython, where the kernel can
confine. Where neither can, the code is refused; it never runs bare.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.clients.sandbox import failures
from rowel.nodes.clients.sandbox.cpython import CPython
from rowel.nodes.clients.sandbox.failures import Doubtful
from rowel.nodes.clients.sandbox.guest import body
from rowel.nodes.clients.sandbox.monty import Monty, Unsupported
from rowel.nodes.clients.sandbox.printed import Printed
from rowel.nodes.clients.sandbox.process import NotConfined
from rowel.nodes.clients.sandbox.reach import within_reach

__all__ = ["PooledSandbox", "syntax_problem"]

_REMEMBERED = 4096


def syntax_problem(code: str) -> str | None:
    """What is wrong with the syntax of this function body, with its line; None where it parses."""
    try:
        body.parse(code)
    except SyntaxError as error:
        return failures.syntax_error(error)
    return None


class PooledSandbox:
    """A `Sandbox` over pools of processes, which start with the first call and go when there is nothing to do.

    Use it from one event loop, and `close` it at the end.
    """

    def __init__(
        self,
        *,
        max_processes: int = 8,
        spare_processes: int = 1,
        memory_mib: int = 512,
        idle_s: float = 60.0,
    ) -> None:
        """`max_processes` is for each engine, further calls wait their turn; `memory_mib` is for each call.

        `spare_processes` of CPython are started ahead, once it is needed. After `idle_s` seconds without a call
        every process is let go.
        """
        self._monty = Monty(max_processes=max_processes, memory_mib=memory_mib)
        self._cpython = CPython(
            max_processes=max_processes, spare_processes=spare_processes, memory_mib=memory_mib
        )
        self._turns = asyncio.Semaphore(max_processes)
        self._choices: OrderedDict[bytes, str] = OrderedDict()
        self._idle_s = idle_s
        self._calls = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._rest: asyncio.Task[None] | None = None

    async def inspect(self, code: str) -> str:
        """Return the name of the engine that will run this function body: `monty` or `cpython`.

        Raises `Invalid` where the code doesn't parse, with its line, or where no engine here can run it.
        """
        if problem := syntax_problem(code):
            raise Invalid(problem)
        with self._at_work():
            return await self._choose(code)

    async def call(
        self,
        code: str,
        input_model: Mapping[str, Any],
        timeout_s: float,
        *,
        log: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Run the function body over `input_model` and return the object it returns, as plain JSON values.

        `log` gets what it printed, line by line. Raises `NodeFailed`: the exception of the code with its trace, the
        limit it met (`timeout_s` seconds, memory), or what in its result is no JSON and where. Canceling the call
        ends the work at once.
        """
        printed = Printed()
        with self._at_work():
            try:
                return await self._run(code, within_reach(code, input_model), timeout_s, printed)
            except TimeoutError:
                raise failures.took_too_long(timeout_s) from None
            except NotConfined as error:
                raise NodeFailed(f"the code could not be run: {error}", retryable=True) from None
            except Invalid as error:
                raise NodeFailed(error.message) from None
            finally:
                printed.hand_to(log)

    def describe(self) -> dict[str, str]:
        """What works on this machine, by engine: `works`, or why not. Blocks while a process is tried (50 ms)."""
        obstacles = {engine.name: engine.obstacle() for engine in (self._monty, self._cpython)}
        return {name: f"does not work: {reason}" if reason else "works" for name, reason in obstacles.items()}

    async def close(self) -> None:
        """End every process. The sandbox can't be used after that."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._rest is not None:
            await self._rest
        await self._monty.rest()
        await self._cpython.close()

    async def _run(
        self, code: str, input_model: Mapping[str, Any], timeout_s: float, printed: Printed
    ) -> dict[str, Any]:
        if await self._choose(code) == CPython.name:
            return await self._cpython.call(code, input_model, timeout_s, printed)
        async with self._turns:
            deadline = time.monotonic() + timeout_s
            try:
                return await self._monty.call(code, input_model, timeout_s, printed)
            except Doubtful as doubtful:
                doubt = doubtful
        if await asyncio.to_thread(self._cpython.obstacle):
            raise doubt.failure
        printed.clear()
        try:
            result = await self._cpython.call(code, input_model, deadline - time.monotonic(), printed)
        except NotConfined:
            raise doubt.failure from None
        self._remember(code, CPython.name)
        return result

    async def _choose(self, code: str) -> str:
        choice = self._choices.get(_digest(code))
        if choice is None:
            choice = await self._find_engine(code)
            self._remember(code, choice)
        return choice

    async def _find_engine(self, code: str) -> str:
        """The first engine that can run this code. Raises `Invalid`."""
        lack = await asyncio.to_thread(self._monty.obstacle)
        if lack is None:
            try:
                await self._monty.inspect(code)
                return Monty.name
            except Unsupported as error:
                lack = f"Monty can't run it: {error}"
        obstacle = await asyncio.to_thread(self._cpython.obstacle)
        if obstacle is not None:
            raise Invalid(
                f"this code needs full Python, which can't be run safely on this machine ({lack}; {obstacle})"
            )
        await self._cpython.inspect(code)
        return CPython.name

    def _remember(self, code: str, choice: str) -> None:
        self._choices[_digest(code)] = choice
        if len(self._choices) > _REMEMBERED:
            self._choices.popitem(last=False)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Keep the processes while calls are under way, and for some time after."""
        self._calls += 1
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self._go_idle)

    def _go_idle(self) -> None:
        self._cpython.rest()
        self._rest = asyncio.create_task(self._monty.rest())


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
