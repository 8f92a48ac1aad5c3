"""What a rerun executes and what it takes over from the run that it repeats, decided before anything moves.

A node runs if it was chosen, lies behind a chosen or an edited node, or has no outputs that still count: it did not
complete, it is not what it was, or something before it runs. An edited node never runs: its outputs are given. A node
stays canceled where what is known before it leads elsewhere, where it had nothing to pass on, and where it has no
outputs and all that lies behind it is edited. Every other node is reused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from rowel.core.errors import Invalid
from rowel.core.graph import Graph
from rowel.core.records import Task
from rowel.core.status import RunStatus, TaskStatus


class Fate(StrEnum):
    """What becomes of a node in a rerun."""

    RUN = "run"
    REUSE = "reuse"
    EDIT = "edit"
    CANCEL = "cancel"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a run that has ended left behind, seen by the graph that its rerun runs on."""

    status: RunStatus
    #: The tasks of its top-level nodes, by node id.
    tasks: Mapping[str, Task]
    #: {node id: why it is not what it was}; the outputs of these don't count.
    differences: Mapping[str, str] = field(default_factory=dict)
    #: For a partial run: the node that it was of, and all nodes that it had.
    target: str | None = None
    scope: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be different this time. Nodes are named by ids of the graph that the rerun runs on."""

    chosen: frozenset[str] = frozenset()
    #: {node id: the handles that its new outputs fire; None: all}
    edited: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    #: The input node gets other inputs, so it runs.
    renews_inputs: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.chosen or self.edited or self.renews_inputs)


@dataclass(frozen=True)
class Step:
    """One node's fate, and why."""

    node_id: str
    fate: Fate
    why: str


@dataclass(frozen=True)
class Plan:
    """The nodes of a rerun, in topological order."""

    steps: tuple[Step, ...]

    @cached_property
    def fates(self) -> Mapping[str, Fate]:
        """{node id: fate}"""
        return {step.node_id: step.fate for step in self.steps}

    @property
    def runs_nothing(self) -> bool:
        return Fate.RUN not in self.fates.values()


def plan_rerun(graph: Graph, past: Past, wish: Wish) -> Plan:
    """Decide about every node. With an empty wish what did not complete runs; where all did, all of it runs anew.

    Of a partial run's graph only its target and what lies before that is there. What it was given stays so, unless it
    is chosen or lies behind a chosen or an edited node.

    Raises `Invalid` naming the node where a chosen one can't run, is edited too, or lies outside of a partial run.
    """
    _check(graph, past, wish)
    plan = _Draft(graph, past, wish, is_whole=False).plan()
    if wish.is_empty and plan.runs_nothing:
        return _Draft(graph, past, wish, is_whole=True).plan()
    return plan


def _check(graph: Graph, past: Past, wish: Wish) -> None:
    both = sorted(wish.chosen & wish.edited.keys())
    if both:
        raise Invalid(f"Node {both[0]!r} is both chosen and edited: choose what is to run, edit what is not.")
    if wish.renews_inputs and graph.input_id in wish.edited:
        raise Invalid(
            f"Node {graph.input_id!r} gets both initial inputs and edited outputs: give one of them."
        )
    if past.target is not None:
        inside = _universe(graph, past)
        outside = sorted((wish.chosen | wish.edited.keys()) - inside)
        if outside:
            raise Invalid(
                f"Node {outside[0]!r} is not before {past.target!r}, which is all that this partial run was of."
            )


def _universe(graph: Graph, past: Past) -> frozenset[str]:
    """The nodes that may be in the rerun."""
    if past.target is None:
        return frozenset(graph.index)
    return graph.ancestors(past.target) | {past.target}


class _Draft:
    """One pass over a graph. `is_whole`: everything runs anew, but for what a partial run was given."""

    def __init__(self, graph: Graph, past: Past, wish: Wish, *, is_whole: bool) -> None:
        self._graph = graph
        self._past = past
        self._wish = wish
        self._is_whole = is_whole
        self._given = self._find_given()
        self._must = self._find_must()
        self._scope = set(self._universe if past.scope is None else self._begun(past.scope))
        self._idle: frozenset[str] = frozenset()
        self._steps: dict[str, Step] = {}

    @cached_property
    def _universe(self) -> frozenset[str]:
        return _universe(self._graph, self._past)

    def _begun(self, scope: frozenset[str]) -> frozenset[str]:
        """What a partial run had, as far as it is still there, and what is wished beside it."""
        return (scope & self._universe) | self._must | self._wish.edited.keys()

    def plan(self) -> Plan:
        while True:
            self._judge_all()
            lacking = self._lacking()
            if not lacking:
                return Plan(tuple(self._steps.values()))
            for node_id in lacking:
                if node_id not in self._scope:
                    self._scope.update({node_id}, self._graph.ancestors(node_id, stop_at=self._scope))

    def _find_given(self) -> frozenset[str]:
        """What a partial run was given."""
        if self._past.target is None:
            return frozenset()
        return frozenset(node_id for node_id, task in self._past.tasks.items() if task.is_given)

    def _find_must(self) -> frozenset[str]:
        """Chosen nodes, and all behind them and behind edited ones."""
        if self._is_whole:
            scope = self._universe if self._past.scope is None else self._past.scope
            return (scope & self._universe) - self._given
        edited, found = self._wish.edited, set[str]()
        for number, spec in enumerate(self._graph.specs):
            if spec.id in edited or spec.id not in self._universe:
                continue
            lies_behind = any(source in found or source in edited for source, _ in self._sources(number))
            if lies_behind or self._is_chosen(spec.id):
                found.add(spec.id)
        return frozenset(found)

    def _is_chosen(self, node_id: str) -> bool:
        return node_id in self._wish.chosen or self._is_renewed(node_id)

    def _is_renewed(self, node_id: str) -> bool:
        return self._wish.renews_inputs and node_id == self._graph.input_id

    def _sources(self, number: int) -> Iterator[tuple[str, str]]:
        """(node id, handle) of each link into this node."""
        for edge in self._graph.incoming[number]:
            yield self._graph.specs[edge.node].id, edge.handle

    def _judge_all(self) -> None:
        self._idle = self._find_idle()
        self._steps = {}
        for number, spec in enumerate(self._graph.specs):
            if spec.id in self._scope:
                fate, why = self._judge(number, spec.id)
                self._steps[spec.id] = Step(spec.id, fate, why)

    def _find_idle(self) -> frozenset[str]:
        """Nodes of which nobody needs outputs: something lies behind them, and all of that is edited or idle."""
        edited, found = self._wish.edited, set[str]()
        for number in reversed(range(len(self._graph))):
            node_id = self._graph.specs[number].id
            targets = {self._graph.specs[edge.node].id for edge in self._graph.outgoing[number]} & self._scope
            is_needed = any(target not in found and target not in edited for target in targets)
            if targets and not is_needed and node_id not in self._must:
                found.add(node_id)
        return frozenset(found)

    def _judge(self, number: int, node_id: str) -> tuple[Fate, str]:
        if node_id in self._wish.edited:
            return Fate.EDIT, "its outputs are given"
        if node_id in self._given - self._must:
            return Fate.REUSE, "its outputs were given to that run"
        if (why := self._dead_by(number)) is not None:
            if self._is_chosen(node_id):
                raise Invalid(f"Node {node_id!r} can't run: {why}. Choose a node before it, or edit one.")
            return Fate.CANCEL, why
        if node_id in self._must:
            return Fate.RUN, self._why_it_must(number, node_id)
        return self._judge_by_past(number, node_id)

    def _judge_by_past(self, number: int, node_id: str) -> tuple[Fate, str]:
        task, why = self._past.tasks.get(node_id), self._why_outdated(number, node_id)
        if why is None and task is not None:
            if task.status is TaskStatus.COMPLETED:
                return Fate.REUSE, "it completed, and nothing before it runs"
            if self._has_skipped(task):
                return Fate.CANCEL, "it had nothing to pass on"
        if node_id in self._idle:
            return Fate.CANCEL, "all that lies behind it is edited"
        return Fate.RUN, why or _why_without_outputs(task)

    def _why_it_must(self, number: int, node_id: str) -> str:
        if self._is_whole:
            return "all of it runs anew"
        if self._is_renewed(node_id):
            return "it gets other inputs"
        return "it was chosen" if self._is_chosen(node_id) else self._why_outdated(number, node_id) or ""

    def _why_outdated(self, number: int, node_id: str) -> str | None:
        """Why what the node gave then does not count now."""
        if node_id in self._past.differences:
            return self._past.differences[node_id]
        behind = (source for source, _ in self._sources(number) if source in self._steps)
        moved = (source for source in behind if self._steps[source].fate in (Fate.RUN, Fate.EDIT))
        return next((f"it lies behind {source!r}" for source in moved), None)

    def _has_skipped(self, task: Task) -> bool:
        """Whether the node ran and passed nothing on. In a canceled run others look alike."""
        is_silent = task.status is TaskStatus.CANCELED and task.error is None and task.start_time is not None
        return is_silent and self._past.status is not RunStatus.CANCELED

    def _dead_by(self, number: int) -> str | None:
        """Why this node is canceled, whatever runs: by one dead link, or by all of them where one would do."""
        links = [(source, handle) for source, handle in self._sources(number) if source in self._steps]
        dead = [source for source, handle in links if self._is_dead(source, handle)]
        if not dead or (self._graph.joins_any[number] and len(dead) < len(links)):
            return None
        if self._steps[dead[0]].fate is Fate.CANCEL:
            return f"{dead[0]!r} stays canceled"
        return f"{dead[0]!r} does not lead to it"

    def _is_dead(self, source: str, handle: str) -> bool:
        match self._steps[source].fate:
            case Fate.RUN:
                return False
            case Fate.CANCEL:
                return True
            case Fate.EDIT:
                routes = self._wish.edited[source]
            case Fate.REUSE:
                routes = self._past.tasks[source].routes
        return routes is not None and handle not in routes

    def _lacking(self) -> set[str]:
        """Nodes before running ones that a partial run did not have."""
        running = (number for number, spec in enumerate(self._graph.specs) if self._runs(spec.id))
        return {source for number in running for source, _ in self._sources(number)} - self._scope

    def _runs(self, node_id: str) -> bool:
        return node_id in self._steps and self._steps[node_id].fate is Fate.RUN


def _why_without_outputs(task: Task | None) -> str:
    if task is not None and task.status is TaskStatus.FAILED:
        return "it failed"
    if task is not None and task.status is TaskStatus.CANCELED and task.error is not None:
        return "it was declined"
    return "it did not run to its end"
