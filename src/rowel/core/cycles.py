"""Finds the cycles of a directed graph, in time linear in its nodes and links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def find_cycles(targets: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return one cycle for each knot of nodes that all reach each other, as the nodes in the order of its links.

    `targets` holds, for every node, the nodes that its links go to.
    """
    return [
        _cycle_within(knot, targets)
        for knot in _Knots(targets).find()
        if len(knot) > 1 or knot[0] in targets[knot[0]]
    ]


def describe_cycle(cycle: Sequence[str], limit: int = 20) -> str:
    """Write a cycle as `a → b → a`; a long one is cut short and counted."""
    if len(cycle) <= limit:
        return " → ".join([*cycle, cycle[0]])
    return f"{' → '.join(cycle[:limit])} → … → {cycle[0]} ({len(cycle):,} nodes)"


def _cycle_within(knot: Sequence[str], targets: Mapping[str, Sequence[str]]) -> list[str]:
    members = frozenset(knot)
    trail: dict[str, None] = {}
    node = knot[0]
    while node not in trail:
        trail[node] = None
        node = next(target for target in targets[node] if target in members)
    walked = list(trail)
    return walked[walked.index(node) :]


class _Knots:
    """Gabow's path-based search for strongly connected components, without recursion."""

    def __init__(self, targets: Mapping[str, Sequence[str]]) -> None:
        self._targets = targets
        self._number: dict[str, int] = {}
        self._finished: set[str] = set()
        #: Nodes met whose knot is not known yet, and of those the ones that may begin a knot.
        self._unassigned: list[str] = []
        self._openings: list[str] = []
        self._walk: list[tuple[str, Iterator[str]]] = []

    def find(self) -> Iterator[list[str]]:
        for root in self._targets:
            if root not in self._number:
                self._enter(root)
            while self._walk:
                node, rest = self._walk[-1]
                if not self._step(rest):
                    self._walk.pop()
                    if self._openings[-1] == node:
                        yield self._close(node)

    def _enter(self, node: str) -> None:
        self._number[node] = len(self._number)
        self._unassigned.append(node)
        self._openings.append(node)
        self._walk.append((node, iter(self._targets[node])))

    def _step(self, rest: Iterator[str]) -> bool:
        """Follow one node's links up to the first new node. False when none is left."""
        for target in rest:
            if target not in self._number:
                self._enter(target)
                return True
            if target not in self._finished:
                while self._number[self._openings[-1]] > self._number[target]:
                    self._openings.pop()
        return False

    def _close(self, node: str) -> list[str]:
        self._openings.pop()
        at = len(self._unassigned) - 1
        while self._unassigned[at] != node:
            at -= 1
        knot = self._unassigned[at:]
        del self._unassigned[at:]
        self._finished.update(knot)
        return knot
