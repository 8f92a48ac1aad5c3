"""Blocking calls, off the event loop, and work that nobody may leave half done."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

Taken = ParamSpec("Taken")
Given = TypeVar("Given")


async def in_thread(call: Callable[Taken, Given], *args: Taken.args, **kwargs: Taken.kwargs) -> Given:
    """What `call` returns, made in a thread.

    Unlike with `asyncio.to_thread`, a canceled caller goes on only when the call has ended: whoever closes a file
    afterwards knows that no thread still works on it.
    """
    run = contextvars.copy_context().run
    return await ended(asyncio.get_running_loop().run_in_executor(None, lambda: run(call, *args, **kwargs)))


async def ended(awaited: Awaitable[Given]) -> Given:
    """What `awaited` gives. A canceled caller goes on only when it has ended."""
    work = asyncio.ensure_future(awaited)
    canceled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            canceled = error
    if canceled is not None:
        work.exception()
        raise canceled
    return work.result()
