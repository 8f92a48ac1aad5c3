from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import pytest

from rowel.nodes.clients.sandbox import PooledSandbox, capability
from rowel.nodes.clients.sandbox.monty import Monty
from tests.support import not_run

REMEDY = "Run these tests on Linux 6.12 or later, where Landlock is switched on."


class Run(Protocol):
    """Runs code over `inputs` and returns its result."""

    async def __call__(
        self, code: str, *, timeout_s: float = 20.0, log: Callable[[str], None] | None = None, **inputs: Any
    ) -> dict[str, Any]: ...


@pytest.fixture
def confinement(request: pytest.FixtureRequest) -> None:
    """The test is left out, loudly, where CPython can't be confined."""
    if capability.obstacle() is not None:
        not_run.leave_out(request, "A kernel that confines", REMEDY)


@pytest.fixture
async def bare_sandbox() -> AsyncIterator[PooledSandbox]:
    """A sandbox on whatever this machine can do, or is said to be able to do."""
    sandbox = PooledSandbox(max_processes=2, spare_processes=0, memory_mib=256)
    yield sandbox
    await sandbox.close()


@pytest.fixture
def sandbox(confinement: None, bare_sandbox: PooledSandbox) -> PooledSandbox:
    """A sandbox with both engines."""
    return bare_sandbox


@pytest.fixture
def no_cpython(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that can't confine."""
    monkeypatch.setattr(capability, "obstacle", lambda: "this kernel has no Landlock")


@pytest.fixture
def no_monty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine for which there is no Monty."""
    monkeypatch.setattr(Monty, "obstacle", lambda self: "Monty can't be loaded: not for this machine")


@pytest.fixture
def on_monty(no_cpython: None, bare_sandbox: PooledSandbox) -> Run:
    return _runner(bare_sandbox)


@pytest.fixture
def on_cpython(no_monty: None, sandbox: PooledSandbox) -> Run:
    return _runner(sandbox)


@pytest.fixture(params=["monty", "cpython"])
def run(request: pytest.FixtureRequest) -> Run:
    """Each engine in turn, alone."""
    found: Run = request.getfixturevalue(f"on_{request.param}")
    return found


def _runner(sandbox: PooledSandbox) -> Run:
    async def run(
        code: str, *, timeout_s: float = 20.0, log: Callable[[str], None] | None = None, **inputs: Any
    ) -> dict[str, Any]:
        return await sandbox.call(code, inputs, timeout_s, log=log)

    return run
