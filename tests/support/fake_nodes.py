"""Scripted nodes: a test says what they do, holds them, and sees what they did."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rowel.core.outcomes import Fields, Outcome
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context

#: What a node does: an exception to raise, a result, or a function of its inputs and context that gives one.
Act = Any


class WorkConfig(Config):
    gives: dict[str, Any] | None = None


@dataclass(frozen=True)
class Call:
    """One time that a node was run."""

    node_id: str
    task_id: str
    attempt: int
    inputs: Fields


@dataclass
class Stage:
    """Where scripted nodes act. Without a script a node gives its config's `gives`, else {"by": its id}."""

    calls: list[Call] = field(default_factory=list)
    #: Task ids of nodes that were interrupted while they ran.
    interrupted: list[str] = field(default_factory=list)
    #: Nodes that run now, and the most there ever were at once.
    running: int = 0
    most: int = 0
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _acts: dict[str, Act] = field(default_factory=dict)
    _gates: dict[str, asyncio.Event] = field(default_factory=dict)
    _begun: defaultdict[str, asyncio.Condition] = field(
        default_factory=lambda: defaultdict(asyncio.Condition)
    )

    def on(self, node_id: str, act: Act) -> None:
        """Say what this node does from now on."""
        self._acts[node_id] = act

    def hold(self, *node_ids: str) -> None:
        """Let these nodes wait, once they run, until `let_go`."""
        self._gates.update({node_id: asyncio.Event() for node_id in node_ids})

    def let_go(self, *node_ids: str) -> None:
        for node_id in node_ids:
            self._gates.pop(node_id).set()

    def count(self, node_id: str) -> int:
        """How often this node was run."""
        return sum(call.node_id == node_id for call in self.calls)

    @property
    def counts(self) -> Counter[str]:
        """How often each task was run, by task id."""
        return Counter(call.task_id for call in self.calls)

    async def begun(self, node_id: str, times: int = 1) -> None:
        """Wait until this node has been run so often."""
        changed = self._begun[node_id]
        async with asyncio.timeout(20), changed:
            await changed.wait_for(lambda: self.count(node_id) >= times)

    async def stopped(self, times: int = 1, within_s: float = 20) -> None:
        """Wait until so many nodes have been interrupted."""
        async with asyncio.timeout(within_s):
            while len(self.interrupted) < times:
                self._stopped.clear()
                await self._stopped.wait()

    async def act(self, config: WorkConfig, inputs: Fields, context: Context) -> Outcome | Fields:
        await self._note(Call(context.node_id, context.task_id, context.attempt, inputs))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if context.node_id in self._gates:
                await self._gates[context.node_id].wait()
            return await self._result(config, inputs, context)
        except asyncio.CancelledError:
            self.interrupted.append(context.task_id)
            self._stopped.set()
            raise
        finally:
            self.running -= 1

    async def _note(self, call: Call) -> None:
        self.calls.append(call)
        changed = self._begun[call.node_id]
        async with changed:
            changed.notify_all()

    async def _result(self, config: WorkConfig, inputs: Fields, context: Context) -> Outcome | Fields:
        act = self._acts.get(context.node_id)
        if act is None:
            act = {"by": context.node_id} if config.gives is None else config.gives
        if callable(act):
            act = act(inputs, context)
        if inspect.isawaitable(act):
            act = await act
        if isinstance(act, Exception):
            raise act
        result: Outcome | Fields = act
        return result

    @property
    def node_type(self) -> type[Node[WorkConfig]]:
        """The node type `Work`, whose nodes act here."""
        stage = self

        class Work(Node[WorkConfig]):
            """Does what the stage says."""

            async def run(self, inputs: Fields, context: Context) -> Outcome | Fields:
                return await stage.act(self.config, inputs, context)

        return Work


def once(error: Exception, then: Mapping[str, Any], times: int = 1) -> Callable[[Fields, Context], Act]:
    """An act that fails so often, and then gives `then`."""
    left = [times]

    def act(inputs: Fields, context: Context) -> Act:
        left[0] -= 1
        return error if left[0] >= 0 else then

    return act
