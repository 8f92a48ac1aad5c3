"""What happens next in a run: which nodes start, which are canceled, and what that makes of the run.

A link is *live* (its source completed and its handle fired), *dead* (its source failed, was canceled or took another
route) or *open*. A node joins its links by `all` (it dies with a dead link) or by `any` (it waits until none is open
and needs one that is live). Routers, failures, pauses, partial runs, resumes, batch rows and crash recovery are this
one rule.

The planner does no I/O and never looks at a clock. It counts links as they settle, so a whole run costs O(links).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from rowel.core.graph import Graph
from rowel.core.status import RunStatus


class State(Enum):
    """A node as the planner sees it."""

    WAITING = "waiting"
    STARTED = "started"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    #: Canceled because a person declined: the run ends CANCELED.
    DECLINED = "declined"


SETTLED = frozenset({State.COMPLETED, State.FAILED, State.CANCELED, State.DECLINED})


@dataclass(frozen=True)
class Settled:
    """What is known of a node before planning starts (recovery, partial runs, reruns).

    STARTED means that it was under way: it is among those that start, whatever holds others back.
    """

    state: State
    #: The handles that fired; None means all.
    routes: frozenset[str] | None = None
    #: For PAUSED: nothing else may start until this pause is answered.
    holds_all: bool = False


@dataclass(frozen=True)
class Decisions:
    """Node ids, each tuple in topological order."""

    start: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()


class Planner:
    """The plan of one run of one graph. Feed it what happened; do what it decides."""

    def __init__(
        self,
        graph: Graph,
        known: Mapping[str, Settled] | None = None,
        scope: frozenset[str] | None = None,
    ) -> None:
        """Begin with what is `known`. Nodes outside `scope` don't exist for this run (None: all exist)."""
        self._graph = graph
        size = len(graph)
        self._inside = [scope is None or spec.id in scope for spec in graph.specs]
        self._state = [State.WAITING] * size
        self._open = [sum(self._inside[edge.node] for edge in edges) for edges in graph.incoming]
        self._live = [0] * size
        self._dead = [0] * size
        self._counts = dict.fromkeys(State, 0)
        self._counts[State.WAITING] = sum(self._inside)
        #: Paused nodes that hold back all others, and the nodes they hold back.
        self._holding: set[int] = set()
        self._held: set[int] = set()
        self.opening = self._begin(known or {})

    def _begin(self, known: Mapping[str, Settled]) -> Decisions:
        facts = {
            number: fact
            for node_id, fact in known.items()
            if self._inside[number := self._graph.index[node_id]] and fact.state is not State.WAITING
        }
        self._holding.update(
            number for number, fact in facts.items() if fact.holds_all and fact.state is State.PAUSED
        )
        starts: list[int] = []
        cancels: list[int] = []
        for number, inside in enumerate(self._inside):
            if number in facts:
                self._learn(number, facts[number], starts)
            elif inside:
                self._judge(number, starts, cancels)
                if self._state[number] is State.CANCELED:
                    self._count_links(number, frozenset())
        return self._decide(starts, cancels)

    def _learn(self, number: int, fact: Settled, starts: list[int]) -> None:
        self._move(number, fact.state)
        if fact.state in SETTLED:
            self._count_links(number, fact.routes)
        elif fact.state is State.STARTED:
            starts.append(number)

    def complete(self, node_id: str, routes: frozenset[str] | None = None) -> Decisions:
        """The node did its work; `routes` are the handles that fired (None: all)."""
        return self._settle(node_id, State.COMPLETED, routes)

    def fail(self, node_id: str) -> Decisions:
        """The node failed: what depends on it is canceled and the run will end FAILED."""
        return self._settle(node_id, State.FAILED)

    def cancel(self, node_id: str, *, declined: bool = False) -> Decisions:
        """The node had nothing to pass on, or a person declined it (then the run will end CANCELED)."""
        return self._settle(node_id, State.DECLINED if declined else State.CANCELED)

    def pause(self, node_id: str, *, holds_all: bool = False) -> None:
        """The node waits for a person. With `holds_all` no other node starts until it is answered."""
        number = self._working(node_id)
        self._move(number, State.PAUSED)
        if holds_all:
            self._holding.add(number)

    def resume(self, node_id: str) -> Decisions:
        """A paused node works again (its body or child run went on)."""
        number = self._working(node_id)
        self._move(number, State.STARTED)
        return self._release(number, [], [])

    def state(self, node_id: str) -> State:
        return self._state[self._graph.index[node_id]]

    def in_scope(self) -> Iterable[str]:
        """The nodes that exist for this run, in topological order."""
        return (spec.id for number, spec in enumerate(self._graph.specs) if self._inside[number])

    @property
    def status(self) -> RunStatus:
        """What the nodes make of the run. One failed and one waiting branch make it PAUSED until that is answered."""
        counts = self._counts
        if counts[State.STARTED]:
            return RunStatus.RUNNING
        if counts[State.PAUSED]:
            return RunStatus.PAUSED
        if counts[State.FAILED]:
            return RunStatus.FAILED
        return RunStatus.CANCELED if counts[State.DECLINED] else RunStatus.COMPLETED

    @property
    def has_pauses(self) -> bool:
        return self._counts[State.PAUSED] > 0

    def _settle(self, node_id: str, state: State, routes: frozenset[str] | None = None) -> Decisions:
        number = self._working(node_id)
        self._move(number, state)
        starts: list[int] = []
        cancels: list[int] = []
        self._spread(number, routes, starts, cancels)
        return self._release(number, starts, cancels)

    def _working(self, node_id: str) -> int:
        """The number of a node that is under way or waits for a person; nothing can happen to others."""
        number = self._graph.index[node_id]
        if self._state[number] not in (State.STARTED, State.PAUSED):
            raise ValueError(f"node {node_id!r} is not under way, it is {self._state[number].value}")
        return number

    def _release(self, number: int, starts: list[int], cancels: list[int]) -> Decisions:
        self._holding.discard(number)
        if not self._holding and self._held:
            for held in self._held:
                self._move(held, State.STARTED)
            starts = [*self._held, *starts]
            self._held = set()
        return self._decide(starts, cancels)

    def _spread(
        self, number: int, routes: frozenset[str] | None, starts: list[int], cancels: list[int]
    ) -> None:
        """Count this node's links as settled, judge the nodes behind them, and go on with those that die."""
        done = len(cancels)
        self._judge_all(self._count_links(number, routes), starts, cancels)
        while done < len(cancels):
            dying = cancels[done]
            done += 1
            self._judge_all(self._count_links(dying, frozenset()), starts, cancels)

    def _count_links(self, number: int, routes: frozenset[str] | None) -> list[int]:
        touched = []
        completed = self._state[number] is State.COMPLETED
        for edge in self._graph.outgoing[number]:
            target = edge.node
            self._open[target] -= 1
            if completed and (routes is None or edge.handle in routes):
                self._live[target] += 1
            else:
                self._dead[target] += 1
            touched.append(target)
        return touched

    def _judge_all(self, numbers: Iterable[int], starts: list[int], cancels: list[int]) -> None:
        for number in numbers:
            if self._inside[number] and self._state[number] is State.WAITING:
                self._judge(number, starts, cancels)

    def _judge(self, number: int, starts: list[int], cancels: list[int]) -> None:
        if self._dies(number):
            self._move(number, State.CANCELED)
            cancels.append(number)
        elif not self._open[number]:
            self._ready(number, starts)

    def _ready(self, number: int, starts: list[int]) -> None:
        if self._holding:
            self._held.add(number)
            return
        self._move(number, State.STARTED)
        starts.append(number)

    def _dies(self, number: int) -> bool:
        if self._graph.joins_any[number]:
            return not self._open[number] and bool(self._dead[number]) and not self._live[number]
        return bool(self._dead[number])

    def _move(self, number: int, state: State) -> None:
        self._counts[self._state[number]] -= 1
        self._counts[state] += 1
        self._state[number] = state

    def _decide(self, starts: list[int], cancels: list[int]) -> Decisions:
        ids = self._graph.specs
        return Decisions(
            start=tuple(ids[number].id for number in sorted(starts)),
            cancel=tuple(ids[number].id for number in sorted(cancels)),
        )
