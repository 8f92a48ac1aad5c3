"""How the nodes of one version differ from those of another, where that makes their outputs others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rowel.core.definition import NodeSpec
from rowel.core.parsing import definition_hash
from rowel.engine.programs import Program
from rowel.engine.progress import approved_routes


def differences(old: Program, new: Program, place: str) -> dict[str, str]:
    """{node id: how it differs} of the nodes in `new` that are not as they were in `old`.

    A node is as it was if its type, config and body are, if it receives the same nodes under the same titles, and if
    a person's answer would take the same links. `place` says where the difference is, such as "in version 3".
    """
    found = ((spec.id, _difference(old, new, spec)) for spec in new.graph.specs)
    return {node_id: f"{what} {place}" for node_id, what in found if what is not None}


def _difference(old: Program, new: Program, spec: NodeSpec) -> str | None:
    if spec.id not in old.graph:
        return "it is new"
    before = old.graph.spec(spec.id)
    if before.node_type != spec.node_type:
        return "its type differs"
    if _config(old, before) != _config(new, spec):
        return "its config differs"
    if _body(old, spec.id) != _body(new, spec.id):
        return "its body differs"
    if list(_received(old, spec.id)) != list(_received(new, spec.id)):
        return "what leads to it differs"
    if approved_routes(old.graph.handles(spec.id)) != approved_routes(new.graph.handles(spec.id)):
        return "what leaves it differs"
    return None


def _config(program: Program, spec: NodeSpec) -> str:
    """A node's config as text, in which 1, 1.0 and true are not the same. A body is looked at by itself."""
    left_out = "subworkflow" if spec.id in program.inner else None
    config: dict[str, Any] = {name: value for name, value in spec.config.items() if name != left_out}
    return json.dumps(config, sort_keys=True)


def _body(program: Program, node_id: str) -> str | None:
    body = program.inner.get(node_id)
    return None if body is None else definition_hash(body.definition.raw)


def _received(program: Program, node_id: str) -> Iterator[tuple[str, str, str]]:
    """The links into a node, in their order: whence, under which title, by which handle."""
    graph = program.graph
    for edge in graph.incoming[graph.index[node_id]]:
        source = graph.specs[edge.node]
        yield source.id, source.title, edge.handle
