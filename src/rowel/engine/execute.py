"""One attempt of one task: run the node, make an outcome of whatever happens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, cast

from rowel.core import jsontext
from rowel.core.errors import Invalid, NodeFailed, RowelError
from rowel.core.iterations import to_keep
from rowel.core.outcomes import Done, Failure, Fields, Outcome
from rowel.engine.standstill import Standstill
from rowel.nodes.base import Node
from rowel.nodes.context import Context

log = logging.getLogger(__name__)

#: Bytes of JSON that one node may hand on.
MAX_OUTPUT = 4 * 1024 * 1024


def _keep_silent(_: str) -> None:
    return None


async def attempt(
    node: Node[Any], inputs: Fields, context: Context, tell: Callable[[str], None] = _keep_silent
) -> Outcome:
    """Run the node within its time. Never raises, but for the cancellation of the run. `tell` hears what it waits
    for."""
    limit_s = None if node.bounds_its_own_time else context.timeout_s
    try:
        async with asyncio.timeout(limit_s) as limit:
            standstill = Standstill(context, limit, tell)
            context.caller = replace(context.caller, waits=standstill.begin, goes_on=standstill.end)
            try:
                return checked(await node.run(inputs, context), context.path)
            finally:
                standstill.be_silent()
    except TimeoutError as error:
        if limit.expired():
            return Failure(f"took longer than {context.timeout_s:g} s", retryable=True)
        return failure_of(error)
    except Exception as error:
        return failure_of(error)


def run_pure(step: Coroutine[Any, Any, Outcome | Fields], path: str) -> Outcome:
    """Drive a step of the task at this path, which never awaits, to its end, here and now."""
    try:
        step.send(None)
    except StopIteration as end:
        return checked(cast("Outcome | Fields", end.value), path)
    except Exception as error:
        return failure_of(error)
    step.close()
    return Failure("the node type says it is pure, yet it waits for something")


def checked(result: Outcome | Fields, path: str) -> Outcome:
    """A plain mapping is `Done`; outputs of the task at this path must be JSON of a bounded size."""
    outcome = Done(result) if isinstance(result, Mapping) else result
    if isinstance(outcome, Done):
        try:
            size = _size(jsontext.dump(to_keep(outcome.outputs, path)))
        except (TypeError, ValueError, RecursionError, Invalid) as error:
            return Failure(f"its outputs are not JSON: {error}")
        if size > MAX_OUTPUT:
            return Failure(f"its outputs take {size} bytes of JSON; the limit is {MAX_OUTPUT} bytes")
    return outcome


def failure_of(error: Exception) -> Failure:
    """What a node's exception means. Only `NodeFailed` and `Invalid` speak to users as they are."""
    if isinstance(error, NodeFailed):
        return Failure(error.message, error.trace, error.retryable, error.retry_after_s, error.details)
    if isinstance(error, RowelError):
        return Failure(error.message)
    log.error("a node raised what it should not", exc_info=error)
    return Failure(f"{type(error).__name__}: {error}")


def _size(text: str) -> int:
    """Bytes as UTF-8 of JSON text in ASCII, counted only where that could matter."""
    if len(text) <= MAX_OUTPUT:
        return len(text)
    return len(json.dumps(json.loads(text), ensure_ascii=False).encode(errors="surrogatepass"))
