"""What a node receives from its predecessors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowel.core.graph import NO_HANDLE, Edge, Graph
from rowel.core.outcomes import Fields


def received(graph: Graph, node_id: str, outputs: Mapping[str, Fields]) -> dict[str, Any]:
    """Return what the completed predecessors of this node hand on, keyed by their titles.

    Under a router's title stands what the route of the link carries; two fired routes of one router merge. A
    predecessor without outputs (canceled, beside a live one) is left out.
    """
    result: dict[str, Any] = {}
    for edge in graph.incoming[graph.index[node_id]]:
        source = graph.specs[edge.node]
        value = _carried(graph, edge, outputs.get(source.id))
        if value is not None:
            earlier = result.get(source.title)
            result[source.title] = _merged(earlier, value)
    return result


def sources(graph: Graph, node_id: str, outputs: Mapping[str, Fields]) -> dict[str, str] | None:
    """{title: id of the predecessor whose outputs stand there}; None where something of what is `received` is not just
    the outputs of one node."""
    edges = graph.incoming[graph.index[node_id]]
    if any(graph.routed[edge.node] and edge.handle != NO_HANDLE for edge in edges):
        return None
    found: dict[str, str] = {}
    for edge in edges:
        source = graph.specs[edge.node]
        if outputs.get(source.id) is not None and found.setdefault(source.title, source.id) != source.id:
            return None
    return found


def _merged(earlier: Any, value: Any) -> Any:
    if isinstance(earlier, Mapping) and isinstance(value, Mapping):
        return {**earlier, **value}
    return value


def _carried(graph: Graph, edge: Edge, outputs: Fields | None) -> Any:
    """What one link carries: a router's link the data of its route (None where it did not fire), others all outputs."""
    if outputs is None or not graph.routed[edge.node] or edge.handle == NO_HANDLE:
        return outputs
    return outputs.get(edge.handle)
