"""A definition made ready for planning: nodes by number in topological order, links as numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from rowel.core.definition import Link, NodeID, NodeSpec

#: The handle of a link that names none.
NO_HANDLE = ""


class Edge(NamedTuple):
    """A link seen from one of its ends: the node at the other end, and the handle it leaves by."""

    node: int
    handle: str


@dataclass(frozen=True)
class Graph:
    """Compiled once per version. Node numbers follow the topological order, so a parent comes before its children."""

    specs: tuple[NodeSpec, ...]
    index: Mapping[str, int]
    #: Whether a node waits for all links and needs only one that is live.
    joins_any: tuple[bool, ...]
    #: Whether a node's links carry its routes' data rather than all its outputs.
    routed: tuple[bool, ...]
    outgoing: tuple[tuple[Edge, ...], ...]
    incoming: tuple[tuple[Edge, ...], ...]
    input_id: NodeID | None
    output_id: NodeID | None

    def __len__(self) -> int:
        return len(self.specs)

    def __contains__(self, node_id: str) -> bool:
        return node_id in self.index

    def spec(self, node_id: str) -> NodeSpec:
        return self.specs[self.index[node_id]]

    def handles(self, node_id: str) -> frozenset[str]:
        """The handles by which links leave this node."""
        return frozenset(edge.handle for edge in self.outgoing[self.index[node_id]])

    def ancestors(self, node_id: str, stop_at: Set[str] = frozenset()) -> frozenset[str]:
        """Every node that `node_id` depends on. Nodes of `stop_at` are included, what lies behind them is not."""
        return self._reach(node_id, self.incoming, stop_at)

    def descendants(self, node_id: str) -> frozenset[str]:
        """Every node that depends on `node_id`."""
        return self._reach(node_id, self.outgoing, frozenset())

    def _reach(self, node_id: str, edges: tuple[tuple[Edge, ...], ...], stop_at: Set[str]) -> frozenset[str]:
        found: set[int] = set()
        queue = deque([self.index[node_id]])
        while queue:
            for edge in edges[queue.popleft()]:
                if edge.node not in found:
                    found.add(edge.node)
                    if self.specs[edge.node].id not in stop_at:
                        queue.append(edge.node)
        return frozenset(self.specs[number].id for number in found)


def compile_graph(
    specs: Iterable[NodeSpec],
    links: Iterable[Link],
    *,
    joins_any: Iterable[str] = (),
    routers: Iterable[str] = (),
    input_id: NodeID | None = None,
    output_id: NodeID | None = None,
) -> Graph:
    """Number the nodes in topological order. The links must be among `specs`.

    Raises `ValueError` where they form a cycle.
    """
    specs, links = tuple(specs), tuple(links)
    ordered = _in_order(specs, links)
    index: dict[str, int] = {spec.id: number for number, spec in enumerate(ordered)}
    outgoing: list[list[Edge]] = [[] for _ in ordered]
    incoming: list[list[Edge]] = [[] for _ in ordered]
    for link in links:
        source, target = index[link.source_id], index[link.target_id]
        handle = link.source_handle or NO_HANDLE
        outgoing[source].append(Edge(target, handle))
        incoming[target].append(Edge(source, handle))
    any_ids, router_ids = frozenset(joins_any), frozenset(routers)
    return Graph(
        specs=ordered,
        index=index,
        joins_any=tuple(spec.id in any_ids for spec in ordered),
        routed=tuple(spec.id in router_ids for spec in ordered),
        outgoing=tuple(map(tuple, outgoing)),
        incoming=tuple(map(tuple, incoming)),
        input_id=input_id,
        output_id=output_id,
    )


def _in_order(specs: tuple[NodeSpec, ...], links: tuple[Link, ...]) -> tuple[NodeSpec, ...]:
    """Topological order that follows the user's order wherever the links allow it."""
    place = {spec.id: number for number, spec in enumerate(specs)}
    waiting = [0] * len(specs)
    targets: list[list[int]] = [[] for _ in specs]
    for link in links:
        source, target = place[link.source_id], place[link.target_id]
        waiting[target] += 1
        targets[source].append(target)
    ready = [number for number, count in enumerate(waiting) if not count]
    heapify(ready)
    ordered: list[NodeSpec] = []
    while ready:
        number = heappop(ready)
        ordered.append(specs[number])
        for target in targets[number]:
            waiting[target] -= 1
            if not waiting[target]:
                heappush(ready, target)
    if len(ordered) < len(specs):
        raise ValueError("the links form a cycle")
    return tuple(ordered)
