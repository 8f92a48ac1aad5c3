"""The rule of planning, told naively: from the states of all nodes, looking at every link again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rowel.core.graph import Graph
from rowel.core.planner import Settled, State
from rowel.core.status import RunStatus

ENDED = (State.COMPLETED, State.FAILED, State.CANCELED, State.DECLINED)


@dataclass(frozen=True)
class Plan:
    """What should happen now, and what the run is once it has happened."""

    start: frozenset[str]
    cancel: frozenset[str]
    status: RunStatus


def plan(graph: Graph, facts: Mapping[str, Settled], scope: frozenset[str] | None = None) -> Plan:
    """What follows from `facts`: all that is known of nodes that are no longer waiting."""
    nodes = [spec.id for spec in graph.specs if scope is None or spec.id in scope]
    states = {node: facts[node].state if node in facts else State.WAITING for node in nodes}
    canceled: set[str] = set()
    while dying := {
        node for node in nodes if states[node] is State.WAITING and _dies(graph, node, states, facts)
    }:
        canceled |= dying
        states |= dict.fromkeys(dying, State.CANCELED)
    is_held = any(fact.state is State.PAUSED and fact.holds_all for fact in facts.values())
    started = {
        node
        for node in nodes
        if not is_held and states[node] is State.WAITING and "open" not in _links(graph, node, states, facts)
    }
    states |= dict.fromkeys(started, State.STARTED)
    return Plan(frozenset(started), frozenset(canceled), _status(set(states.values())))


def _dies(graph: Graph, node: str, states: Mapping[str, State], facts: Mapping[str, Settled]) -> bool:
    links = _links(graph, node, states, facts)
    if graph.joins_any[graph.index[node]]:
        return bool(links) and set(links) == {"dead"}
    return "dead" in links


def _links(graph: Graph, node: str, states: Mapping[str, State], facts: Mapping[str, Settled]) -> list[str]:
    """Whether each link into the node is open, live or dead."""
    found = []
    for edge in graph.incoming[graph.index[node]]:
        source = graph.specs[edge.node].id
        if source not in states:
            continue
        if states[source] not in ENDED:
            found.append("open")
        elif states[source] is State.COMPLETED and _fired(facts[source], edge.handle):
            found.append("live")
        else:
            found.append("dead")
    return found


def _fired(fact: Settled, handle: str) -> bool:
    return fact.routes is None or handle in fact.routes


def _status(states: set[State]) -> RunStatus:
    for state, status in (
        (State.STARTED, RunStatus.RUNNING),
        (State.PAUSED, RunStatus.PAUSED),
        (State.FAILED, RunStatus.FAILED),
        (State.DECLINED, RunStatus.CANCELED),
    ):
        if state in states:
            return status
    return RunStatus.COMPLETED
