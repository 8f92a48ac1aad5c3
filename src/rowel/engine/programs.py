"""A version made ready to run: its graph, its node objects, and the same for each body inside it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rowel.core.bodies import bodies, top_level
from rowel.core.definition import Definition, NodeID
from rowel.core.graph import Graph, compile_graph
from rowel.core.limits import UNLIMITED, Limit
from rowel.core.outcomes import Fields
from rowel.core.parsing import parse_definition
from rowel.core.records import Run
from rowel.core.traits import Traits
from rowel.nodes.base import Node
from rowel.nodes.registry import Registry

#: How many programs a process keeps ready.
CACHED = 512


@dataclass(frozen=True)
class Program:
    """One graph with its nodes; `inner` holds the program of each container's body."""

    definition: Definition
    graph: Graph
    nodes: Mapping[str, Node[Any]]
    traits: Mapping[str, Traits]
    inner: Mapping[str, Program]

    @property
    def input_id(self) -> NodeID:
        assert self.graph.input_id is not None
        return self.graph.input_id

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """The titles of this graph's nodes, by id."""
        return {spec.id: spec.title for spec in self.graph.specs}

    @cached_property
    def limit(self) -> Limit:
        """What all runs of this workflow may do together."""
        given = self.definition.raw.get("limits")
        return Limit.read(given) if given is not None else UNLIMITED

    def has(self, node_id: str) -> bool:
        """Whether there is such a node, in a body too."""
        return node_id in self.graph or any(body.has(node_id) for body in self.inner.values())

    def scope(self, run: Run) -> frozenset[str] | None:
        """The nodes that exist for this run; None: all."""
        return None if run.partial is None else frozenset(run.partial["scope"])

    def touches_outside(self, node_id: str) -> bool:
        """Whether this node, or one in its body, may call or change something outside. Another workflow may."""
        traits = self.traits[node_id]
        if not traits.contains:
            return traits.touches_outside
        body = self.inner.get(node_id)
        return body is None or any(body.touches_outside(inside) for inside in body.graph.index)

    def at(self, path: str) -> tuple[Program, str]:
        """The program and the node id that a task's path names."""
        program = self
        parts = path.split(".")
        for container in parts[:-1:2]:
            program = program.inner[container]
        return program, parts[-1]

    def body_definition(self, path: str) -> Fields | None:
        """The definition of a container's body; None for other nodes."""
        program, node_id = self.at(path)
        inner = program.inner.get(node_id)
        return None if inner is None else inner.definition.raw


class Programs:
    """Compiles definitions, and keeps the programs by their hash."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ready: OrderedDict[str, Program] = OrderedDict()

    def get(self, definition_hash: str, raw: Fields) -> Program:
        """The program of a stored definition, which is known to be valid."""
        program = self._ready.get(definition_hash)
        if program is None:
            program = self.compile(parse_definition(raw, self._registry))
            self._ready[definition_hash] = program
            if len(self._ready) > CACHED:
                self._ready.popitem(last=False)
        else:
            self._ready.move_to_end(definition_hash)
        return program

    def compile(self, definition: Definition) -> Program:
        """Make a checked definition ready, with all bodies inside it."""
        outer = top_level(definition)
        held = bodies(definition, self._registry)
        inner: dict[str, Program] = {node_id: self.compile(body) for node_id, body in held.items()}
        traits: dict[str, Traits] = {spec.id: self._traits(spec.node_type) for spec in outer.nodes}
        graph = compile_graph(
            outer.nodes,
            outer.links,
            joins_any=[node_id for node_id, trait in traits.items() if trait.join == "any"],
            routers=[node_id for node_id, trait in traits.items() if trait.routes],
            input_id=next((spec.id for spec in outer.nodes if traits[spec.id].is_input), None),
            output_id=next((spec.id for spec in outer.nodes if traits[spec.id].is_output), None),
        )
        nodes: dict[str, Node[Any]] = {spec.id: self._registry.build(spec) for spec in outer.nodes}
        return Program(definition, graph, nodes, traits, dict(inner))

    def _traits(self, node_type: str) -> Traits:
        traits = self._registry.traits(node_type)
        assert traits is not None, f"unknown node type {node_type!r} in a checked definition"
        return traits
