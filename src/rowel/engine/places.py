"""At most so many runs of a workflow execute at once, where its definition says so. The others wait."""

from __future__ import annotations

from contextlib import AsyncExitStack

from rowel.core.limits import Limit, Scope
from rowel.core.records import Run
from rowel.core.status import RunType
from rowel.engine.dispatch import LocalDispatch
from rowel.nodes.clients.turns import Turns
from rowel.nodes.context import Caller


class Places:
    """Gives runs their place among those of their workflow, interactive ones before rows of batches."""

    def __init__(self, turns: Turns, dispatch: LocalDispatch) -> None:
        self._turns = turns
        self._dispatch = dispatch

    async def enter(self, run: Run, limit: Limit) -> AsyncExitStack:
        """Wait for a place; closing the answer gives it back. While a run waits another may have its slot."""
        stack = AsyncExitStack()
        # A run that another one waits for is a part of that: else both might wait for each other.
        if limit.at_once is not None and run.owner_path is None and not self._dispatch.is_inside(run.id):
            name = f"workflow {run.workflow_id}"
            scope = Scope(f"runs/{run.workflow_id}", name, Limit(at_once=limit.at_once))
            caller = Caller(
                is_row=run.run_type is RunType.BATCH,
                waits=lambda _: self._dispatch.set_aside(run.id),
                goes_on=lambda: self._dispatch.take_back(run.id),
            )
            await stack.enter_async_context(self._turns.turn_of([scope], 0, caller))
        return stack


def call_scopes(run: Run, limit: Limit) -> tuple[Scope, ...]:
    """What the calls of models share that runs of this workflow make."""
    of_calls = Limit(requests_per_minute=limit.requests_per_minute, tokens_per_minute=limit.tokens_per_minute)
    if of_calls == Limit():
        return ()
    return (Scope(f"calls/{run.workflow_id}", f"workflow {run.workflow_id}", of_calls),)
