"""A handful of node types, as the core sees them, that need no node classes."""

from __future__ import annotations

from collections.abc import Sequence

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem
from rowel.core.traits import Traits

_TRAITS = {
    "Plain": Traits(),
    "Input": Traits(is_input=True),
    "Output": Traits(is_output=True),
    "Router": Traits(routes=True),
    "Human": Traits(),
    "Loop": Traits(contains=True),
    "Sub": Traits(contains=True, body_unless="workflow_id"),
}


class FakeTypes:
    """`Plain Input Output Router Human Loop Sub`. A config `{"wrong": [sentences]}` has just these problems; a
    router's routes are `{"routes": [names]}`; other than a list they are a wrong config."""

    def traits(self, node_type: str) -> Traits | None:
        return _TRAITS.get(node_type)

    def problems(self, spec: NodeSpec) -> Sequence[Problem]:
        wrong = spec.config.get("wrong")
        return [Problem(str(text), spec.id, "config") for text in wrong] if isinstance(wrong, list) else []

    def handles(self, spec: NodeSpec) -> frozenset[str] | None:
        if spec.node_type == "Human":
            return frozenset({"declined"})
        routes = spec.config.get("routes", []) if spec.node_type == "Router" else None
        return frozenset(map(str, routes)) if isinstance(routes, list) else None
