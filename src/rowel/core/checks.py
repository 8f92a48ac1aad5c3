"""The rules that a graph must keep, beyond the shape of its JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rowel.core.cycles import describe_cycle, find_cycles
from rowel.core.definition import Link, NodeID, NodeSpec
from rowel.core.nesting import find_depths
from rowel.core.shapes import Reading
from rowel.core.traits import NodeTypes, Traits


class GraphRules:
    """The rules of one graph: its nodes, those inside its containers, and all links among them."""

    def __init__(
        self, reading: Reading, types: NodeTypes, owner: NodeSpec | None, level: int, nesting: int
    ) -> None:
        self._reading = reading
        self._note = reading.note
        self._types = types
        self._owner = owner
        self._level = level
        self._nesting = nesting
        self._specs: dict[str, NodeSpec] = {}
        for spec in reading.nodes:
            if self._specs.setdefault(spec.id, spec) is not spec:
                self._note("another node has the same id", spec.id, "id")
        self._parents: dict[str, str | None] = {
            spec.id: self._parent_of(spec) for spec in self._specs.values()
        }
        self._depths = find_depths(self._parents)

    def check(self) -> None:
        """Note every rule that is broken in the reading."""
        for spec in self._specs.values():
            self._check_node(spec)
        self._check_levels()
        links = [link for link in self._reading.links if self._is_possible(link)]
        self._check_routes(links)
        self._check_titles(links)
        self._check_cycles(links)

    def held_bodies(self) -> Iterable[tuple[NodeSpec, int]]:
        """The containers that hold a body themselves and may, each with the number of containers around the body."""
        for spec in self._specs.values():
            level = self._level + self._depths.get(spec.id, 0) + 1
            if spec.subworkflow is not None and self._traits(spec).contains and level <= self._nesting:
                yield spec, level

    def _parent_of(self, spec: NodeSpec) -> NodeID | None:
        """The container around a node within this graph. A held body may name its holder, which means none."""
        if self._owner is not None and spec.parent_id == self._owner.id and spec.parent_id not in self._specs:
            return None
        return spec.parent_id

    def _traits(self, spec: NodeSpec) -> Traits:
        return self._types.traits(spec.node_type) or Traits()

    def _check_node(self, spec: NodeSpec) -> None:
        if spec.id not in self._reading.unreadable:
            if self._types.traits(spec.node_type) is None:
                self._note(f"there is no node type {spec.node_type!r}", spec.id, "node_type")
            else:
                self._reading.problems.extend(self._types.problems(spec))
        self._check_parent(spec)

    def _check_parent(self, spec: NodeSpec) -> None:
        parent_id = self._parents[spec.id]
        if parent_id is None:
            return
        parent = self._specs.get(parent_id)
        if parent is None:
            self._note(f"there is no node {parent_id!r}", spec.id, "parent_id")
        elif spec.id not in self._depths:
            self._note("leads back to the node itself", spec.id, "parent_id")
        elif not self._traits(parent).contains and self._is_known(parent):
            self._note(f"a {parent.node_type} ({parent_id!r}) holds no other nodes", spec.id, "parent_id")

    def _is_known(self, spec: NodeSpec) -> bool:
        return self._types.traits(spec.node_type) is not None

    def _check_levels(self) -> None:
        """Each level has its input and output nodes, and each container one body."""
        levels: dict[str | None, list[NodeSpec]] = defaultdict(list)
        for spec in self._specs.values():
            levels[self._parents[spec.id]].append(spec)
        self._check_ends(levels[None], self._owner)
        for spec in self._specs.values():
            if self._traits(spec).contains:
                self._check_bodies(spec, spec.id in levels)
                self._check_nesting(spec, spec.id in levels)
                if spec.id in levels:
                    self._check_ends(levels[spec.id], spec)

    def _check_ends(self, specs: Iterable[NodeSpec], container: NodeSpec | None) -> None:
        inputs = [spec for spec in specs if self._traits(spec).is_input]
        outputs = [spec for spec in specs if self._traits(spec).is_output]
        container_id = None if container in (None, self._owner) else container.id
        where = "" if container_id is None else " in its body"
        if not inputs:
            self._note(f"there is no input node{where}; exactly one is needed", container_id)
        if not outputs and container is not None:
            self._note(f"there is no output node{where}; exactly one is needed", container_id)
        for name, nodes in (("input", inputs), ("output", outputs)):
            for extra in nodes[1:]:
                self._note(
                    f"is one {name} node too many: {nodes[0].id!r} is one already", extra.id, "node_type"
                )

    def _check_bodies(self, spec: NodeSpec, has_children: bool) -> None:
        stand_in = self._traits(spec).body_unless
        ways = {
            "nodes that name it as their parent_id": has_children,
            "a subworkflow": spec.subworkflow is not None,
            "config.subworkflow besides its own": spec.id in self._reading.held_twice,
            f"config.{stand_in}": stand_in is not None and bool(spec.config.get(stand_in)),
        }
        given = [way for way, is_given in ways.items() if is_given]
        if len(given) > 1:
            self._note(f"has more than one body: {' and '.join(given)}; keep one", spec.id, "subworkflow")
        elif not given:
            instead = f", or set config.{stand_in}" if stand_in else ""
            how = f"set config.subworkflow or give other nodes {spec.id!r} as their parent_id{instead}"
            self._note(f"has no body: {how}", spec.id, "subworkflow")

    def _check_nesting(self, spec: NodeSpec, has_children: bool) -> None:
        has_body = has_children or spec.subworkflow is not None
        level = self._level + self._depths.get(spec.id, 0) + 1
        if has_body and level == self._nesting + 1:
            self._note(f"its body is nested {level} levels deep; the limit is {self._nesting}", spec.id)

    def _is_possible(self, link: Link) -> bool:
        """Whether both ends exist and lie on the same level."""
        missing = [end for end in (link.source_id, link.target_id) if end not in self._specs]
        if missing:
            at = link.target_id if link.source_id in missing else link.source_id
            self._note(f"{_show(link)} ends at {missing[0]!r}, and there is no such node", at, "links")
            return False
        if self._parents[link.source_id] != self._parents[link.target_id]:
            self._note(f"{_show(link)} crosses the border of a container", link.source_id, "links")
            return False
        return True

    def _check_routes(self, links: Iterable[Link]) -> None:
        handles: dict[str, frozenset[str] | None] = {}
        for link in links:
            spec = self._specs[link.source_id]
            if not self._traits(spec).routes or spec.id in self._reading.unreadable:
                continue
            if spec.id not in handles:
                handles[spec.id] = self._types.handles(spec)
            known = handles[spec.id]
            if known is not None and link.source_handle not in known:
                self._note(f"{_show(link)} {_unknown_route(link, known)}", spec.id, "links")

    def _check_titles(self, links: Iterable[Link]) -> None:
        """What a node receives is keyed by title, so no two of its predecessors may share one."""
        received: dict[tuple[str, str], str] = {}
        told: set[tuple[str, str]] = set()
        for link in links:
            source, key = self._specs[link.source_id], (link.target_id, self._specs[link.source_id].title)
            first = received.setdefault(key, source.id)
            if first != source.id and key not in told:
                told.add(key)
                both = f"{first!r} and {source.id!r}, which share the title {source.title!r}"
                self._note(f"receives from {both}; rename one", link.target_id, "links")

    def _check_cycles(self, links: Iterable[Link]) -> None:
        targets: dict[str, list[str]] = {node_id: [] for node_id in self._specs}
        for link in links:
            targets[link.source_id].append(link.target_id)
        for cycle in find_cycles(targets):
            self._note(f"the links form a cycle: {describe_cycle(cycle)}", cycle[0], "links")


def _show(link: Link) -> str:
    return f"the link {link.source_id!r} → {link.target_id!r}"


def _unknown_route(link: Link, known: frozenset[str]) -> str:
    routes = ", ".join(map(repr, sorted(known)[:20])) or "none"
    if link.source_handle is None:
        return f"must name a route in source_handle; there are {routes}"
    return f"names the route {link.source_handle!r}; there are {routes}"
