"""Containers and what is inside them: a graph's own level, and the body of each loop or subworkflow in it.

A body is a Definition like any other, so `top_level` and `bodies` work on it again for the containers inside
it. All functions take definitions that were checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from rowel.core.definition import Definition, NodeID, NodeSpec
from rowel.core.shapes import read_definition
from rowel.core.traits import NodeTypes


def top_level(definition: Definition) -> Definition:
    """The nodes that lie in no container of this definition, and the links among them."""
    ids = {spec.id for spec in definition.nodes}
    inside = {spec.id for spec in definition.nodes if spec.parent_id in ids}
    if not inside:
        return definition
    return _part(
        definition,
        (number for number, spec in enumerate(definition.nodes) if spec.id not in inside),
        (number for number, link in enumerate(definition.links) if link.source_id not in inside),
    )


def bodies(definition: Definition, types: NodeTypes) -> dict[NodeID, Definition]:
    """The bodies of the containers in this definition's top level, by container id, in O(nodes + links).

    A body made of children holds all that lies beneath its container, at any depth, each node with its
    `parent_id`.
    """
    roots = _roots(definition)
    found = {root: _part(definition, *numbers) for root, numbers in _by_root(definition, roots).items()}
    for spec in definition.nodes:
        if spec.subworkflow is not None and roots[spec.id] == spec.id and _contains(spec, types):
            found[spec.id] = read_definition(spec.subworkflow).definition
    return found


def body_of(definition: Definition, spec: NodeSpec, types: NodeTypes) -> Definition | None:
    """The body of one container in this definition's top level, or None. For many, ask `bodies` once."""
    return bodies(definition, types).get(spec.id)


def _contains(spec: NodeSpec, types: NodeTypes) -> bool:
    traits = types.traits(spec.node_type)
    return traits is not None and traits.contains


def _by_root(
    definition: Definition, roots: Mapping[NodeID, NodeID]
) -> dict[NodeID, tuple[list[int], list[int]]]:
    """For each outermost container: the positions of the nodes and of the links that lie inside it."""
    groups: dict[NodeID, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for number, spec in enumerate(definition.nodes):
        if (root := roots[spec.id]) != spec.id:
            groups[root][0].append(number)
    for number, link in enumerate(definition.links):
        if (root := roots[link.source_id]) != link.source_id:
            groups[root][1].append(number)
    return dict(groups)


def _roots(definition: Definition) -> dict[NodeID, NodeID]:
    """For each node the outermost container around it, or itself."""
    parents = {spec.id: spec.parent_id for spec in definition.nodes}
    roots: dict[NodeID, NodeID] = {}
    for node_id in parents:
        trail = [node_id]
        while trail[-1] not in roots:
            parent = parents[trail[-1]]
            if parent is None or parent not in parents:
                roots[trail[-1]] = trail[-1]
            else:
                trail.append(parent)
        roots.update(dict.fromkeys(trail, roots[trail[-1]]))
    return roots


def _part(definition: Definition, nodes: Iterable[int], links: Iterable[int]) -> Definition:
    raw_nodes, raw_links = definition.raw["nodes"], definition.raw["links"]
    nodes, links = list(nodes), list(links)
    return Definition(
        nodes=tuple(definition.nodes[number] for number in nodes),
        links=tuple(definition.links[number] for number in links),
        raw={
            "nodes": [raw_nodes[number] for number in nodes],
            "links": [raw_links[number] for number in links],
        },
    )
