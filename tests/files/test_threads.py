from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from rowel.files.threads import in_thread


async def test_what_the_call_returns_is_handed_back() -> None:
    assert await in_thread(int, "7", base=8) == 7


async def test_what_the_call_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x")


async def test_the_call_sees_the_variables_of_its_caller() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("mine")
    assert await in_thread(variable.get) == "mine"


@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_canceled_caller_goes_on_only_when_the_call_has_ended(cancels: int) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        may_end.wait(30)
        ended.set()

    task = asyncio.create_task(in_thread(call))
    await asyncio.to_thread(begun.wait, 30)
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_the_error_of_a_call_nobody_waits_for_any_more_is_dropped() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        may_end.wait(30)
        raise RuntimeError("too late")

    task = asyncio.create_task(in_thread(call))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
