"""Monty: an interpreter of its own, without any access to the machine, in pooled processes."""

from __future__ import annotations

import ast
import asyncio
import atexit
import time
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.clients.sandbox import answers, failures
from rowel.nodes.clients.sandbox.failures import Doubtful
from rowel.nodes.clients.sandbox.guest import body
from rowel.nodes.clients.sandbox.printed import Printed

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, MontyRuntimeError

_CHECK_S = 5.0
#: The interpreter's own time limit is there in case ours does not come: it does not count sleep.
_GRACE_S = 5.0
_RECURSION_LIMIT = 1000
#: Longer code is prepared again for each call rather than kept.
_CACHED_CODE = 16 * 1024
#: Threads of the pool still touch Python shortly after its last answer: an exit in this time aborts the process.
_SETTLE_S = 0.3


class Unsupported(Exception):
    """Monty can't run this code; says why."""


class Monty:
    """Runs code in Monty. Its processes start with the first call."""

    name = "monty"

    def __init__(self, *, max_processes: int, memory_mib: int) -> None:
        self._max_processes = max_processes
        self._memory_mib = memory_mib
        self._pool: AsyncMonty | None = None
        self._starting = asyncio.Lock()
        self._check = asyncio.Semaphore(1)

    def obstacle(self) -> str | None:
        """Why Monty is not on this machine, as a clause."""
        try:
            from pydantic_monty._binary import find_monty_binary

            find_monty_binary()
        except (ImportError, OSError) as error:
            return f"Monty can't be loaded: {error}"
        return None

    async def inspect(self, code: str) -> None:
        """Raise `Unsupported` where Monty lacks what the code uses, as far as can be told without running it."""
        from pydantic_monty import MontyError

        program = prepare(code)
        try:
            async with self._check:
                for text in (program.definitions, *program.imports):
                    await self._feed(text, {}, _CHECK_S, Printed())
        except MontyError as error:
            raise Unsupported(failures.printable(str(error))) from None
        except TimeoutError:
            raise Unsupported("it takes too long to read") from None

    async def call(
        self, code: str, input_model: Mapping[str, Any], timeout_s: float, printed: Printed
    ) -> dict[str, Any]:
        """Run the code. Raises `NodeFailed` or `TimeoutError` at a limit, and `Doubtful` for any other failure."""
        from pydantic_monty import MontyError, MontyRuntimeError

        program = prepare(code)
        try:
            inputs = {"_rowel_input": dict(input_model)}
            answer = await self._feed(program.text, inputs, timeout_s, printed)
        except MontyRuntimeError as error:
            raise self._failure(error, program) from None
        except (MontyError, ValueError, TypeError, RecursionError) as error:
            raise Doubtful(NodeFailed(failures.printable(f"the code could not be run: {error}"))) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            problem = answer.get("problem") if isinstance(answer, dict) else None
            raise Doubtful(failures.not_a_result(str(problem or "the code ended without a result")))
        return answers.accept(answer["text"])

    async def rest(self) -> None:
        """Let the processes go; the next call starts them again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(None, None, None)
            _note_use()

    async def _feed(self, text: str, inputs: dict[str, Any], timeout_s: float, printed: Printed) -> Any:
        """Run `text` in a session of its own. The time starts when there is a process for it."""
        pool = await self._started_pool()
        async with pool.checkout(
            limits={
                "max_feed_duration_secs": timeout_s + _GRACE_S,
                "max_memory": self._memory_mib * 1024 * 1024,
                "max_recursion_depth": _RECURSION_LIMIT,
            },
            os_policy={"sleep_system_max": float("inf")},
            assert_message_annotations=False,
        ) as session:
            try:
                async with asyncio.timeout(timeout_s):
                    return await session.feed_run(
                        text, inputs=inputs, print_callback=lambda _, text: printed.write(text)
                    )
            finally:
                _note_use()

    async def _started_pool(self) -> AsyncMonty:
        async with self._starting:
            if self._pool is None:
                from pydantic_monty import AsyncMonty

                # One more for checks: saving a workflow doesn't wait for nodes that run.
                pool = AsyncMonty(min_processes=0, max_processes=self._max_processes + 1)
                await pool.__aenter__()
                self._pool = pool
            return self._pool

    def _failure(self, error: MontyRuntimeError, program: Program) -> NodeFailed | Doubtful:
        kind, _, text = error.display("type-msg").partition(": ")
        if kind == "MemoryError" and "memory limit" in text:
            return failures.needs_too_much_memory(self._memory_mib)
        lines = [
            (program.line(frame.line), frame.function_name or "")
            for frame in error.traceback()
            if frame.line > program.offset and frame.function_name not in (None, "<module>")
        ]
        failure = failures.raised(kind.rpartition(".")[2], text, lines, program.code)
        return failure if kind == "RecursionError" else Doubtful(failure)


class Program:
    """A node's code as Monty gets it. Raises `Unsupported` or, where the code doesn't parse, `Invalid`."""

    def __init__(self, code: str) -> None:
        self.code = code
        try:
            statements = body.parse(code)
            _refuse_surrogates(statements)
            self.imports = [ast.unparse(statement) for statement in body.imports(statements)]
            self._written = ast.unparse(body.function(statements))
        except SyntaxError as error:
            raise Invalid(failures.syntax_error(error)) from None
        except (ValueError, RecursionError) as error:
            raise Unsupported(f"it can't be written for Monty: {error}") from None

    @property
    def definitions(self) -> str:
        """The helpers and the function, without a call."""
        return f"{_helpers()}\n{self._written}\n"

    @property
    def text(self) -> str:
        return f"{self.definitions}_rowel_answer({body.FUNCTION}(_rowel_input))"

    @property
    def offset(self) -> int:
        """How many lines stand before the function."""
        return _helpers().count("\n") + 1

    def line(self, number: int) -> int:
        """The line in the code that a line of `text` stands for."""
        pairs = self._lines()
        place = bisect_right([written for written, _ in pairs], number - self.offset)
        return pairs[place - 1][1] if place else 0

    def _lines(self) -> list[tuple[int, int]]:
        """Where every statement was written, and where it stood in the code."""
        (function,) = ast.parse(self._written).body
        assert isinstance(function, ast.FunctionDef)
        pairs = zip(_statements(function.body), _statements(body.parse(self.code)), strict=False)
        return sorted((written.lineno, original.lineno) for written, original in pairs)


def prepare(code: str) -> Program:
    return _prepared(code) if len(code) <= _CACHED_CODE else Program(code)


_prepared = lru_cache(maxsize=256)(Program)


def _statements(block: list[ast.stmt]) -> list[ast.stmt]:
    """Every statement in a block, however deep."""
    return [node for node in ast.walk(ast.Module(block, [])) if isinstance(node, ast.stmt)]


def _refuse_surrogates(statements: list[ast.stmt]) -> None:
    """Monty would replace them without a word."""
    for node in ast.walk(ast.Module(statements, [])):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node.value.encode()
            except UnicodeEncodeError:
                raise Unsupported("it holds text with a lone surrogate") from None


@lru_cache(maxsize=1)
def _helpers() -> str:
    return (resources.files("rowel.nodes.clients.sandbox.guest") / "runtime.py").read_text()


_last_use = [0.0]


def _note_use() -> None:
    if not _last_use[0]:
        atexit.register(_settle)
    _last_use[0] = time.monotonic()


def _settle() -> None:
    time.sleep(max(0.0, _last_use[0] + _SETTLE_S - time.monotonic()))
