"""The rule of reruns, told naively: each node asks those before and behind it, again and again. For whole runs only."""

from __future__ import annotations

from rowel.core.graph import Graph
from rowel.core.rerun import Fate, Past, Wish
from rowel.core.status import RunStatus, TaskStatus


def links_into(graph: Graph, node: str) -> list[tuple[str, str]]:
    """(source, handle) of each link into a node."""
    return [(graph.specs[edge.node].id, edge.handle) for edge in graph.incoming[graph.index[node]]]


def behind(graph: Graph, node: str) -> set[str]:
    """The nodes that a link from this one leads to."""
    return {graph.specs[edge.node].id for edge in graph.outgoing[graph.index[node]]}


class Oracle:
    """What becomes of each node of a graph."""

    def __init__(self, graph: Graph, past: Past, wish: Wish) -> None:
        self.graph = graph
        self.past = past
        self.wish = wish

    def fates(self) -> dict[str, Fate]:
        return {spec.id: self.fate(spec.id) for spec in self.graph.specs}

    def fate(self, node: str) -> Fate:
        if node in self.wish.edited:
            return Fate.EDIT
        if self.is_dead(node):
            return Fate.CANCEL
        if self.must_run(node):
            return Fate.RUN
        is_usable = node not in self.past.differences and not self.follows_a_change(node)
        if is_usable and self.has_completed(node):
            return Fate.REUSE
        if (is_usable and self.has_skipped(node)) or self.is_idle(node):
            return Fate.CANCEL
        return Fate.RUN

    def must_run(self, node: str) -> bool:
        changed = self.wish.chosen | self.wish.edited.keys()
        return node in self.wish.chosen or bool(self.graph.ancestors(node) & changed)

    def follows_a_change(self, node: str) -> bool:
        return any(self.fate(source) in (Fate.RUN, Fate.EDIT) for source, _ in links_into(self.graph, node))

    def has_completed(self, node: str) -> bool:
        return node in self.past.tasks and self.past.tasks[node].status is TaskStatus.COMPLETED

    def has_skipped(self, node: str) -> bool:
        task = self.past.tasks.get(node)
        return (
            self.past.status is not RunStatus.CANCELED
            and task is not None
            and (task.status, task.error) == (TaskStatus.CANCELED, None)
            and task.start_time is not None
        )

    def is_idle(self, node: str) -> bool:
        targets = behind(self.graph, node)
        return (
            bool(targets)
            and not self.must_run(node)
            and all(target in self.wish.edited or self.is_idle(target) for target in targets)
        )

    def is_dead(self, node: str) -> bool:
        dead = [self.link_is_dead(source, handle) for source, handle in links_into(self.graph, node)]
        return bool(dead) and (all(dead) if self.graph.joins_any[self.graph.index[node]] else any(dead))

    def link_is_dead(self, source: str, handle: str) -> bool:
        fate = self.fate(source)
        if fate in (Fate.RUN, Fate.CANCEL):
            return fate is Fate.CANCEL
        routes = self.wish.edited[source] if fate is Fate.EDIT else self.past.tasks[source].routes
        return routes is not None and handle not in routes
