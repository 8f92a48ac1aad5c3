"""From the JSON that users write to a checked `Definition`, or to a list of everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rowel.core.checks import GraphRules
from rowel.core.definition import Definition, NodeSpec
from rowel.core.errors import Invalid, InvalidDefinition, Problem
from rowel.core.jsontext import MAX_DEPTH, depth, dump
from rowel.core.shapes import read_definition
from rowel.core.traits import NodeTypes


@dataclass(frozen=True)
class Limits:
    """How large a definition may be, the bodies in it included."""

    nodes: int = 10_000
    links: int = 50_000
    #: Containers around a node.
    nesting: int = 8


LIMITS = Limits()

_LONGEST_MESSAGE = 1_000
_LONGEST_ID = 128


def parse_definition(raw: Any, types: NodeTypes, limits: Limits = LIMITS) -> Definition:
    """Read and check a definition; `raw` comes back with missing titles filled in and is otherwise as it was.

    Raises `InvalidDefinition` with all problems at once, each with its node's id where it has one.
    """
    problems = _find_what_is_not_json(raw)
    definition = None
    if not problems:
        survey = _Survey(types, limits)
        definition = survey.check(raw)
        problems = survey.problems
    if problems or definition is None:
        raise InvalidDefinition([_presentable(problem) for problem in problems])
    return definition


def definition_hash(raw: Mapping[str, Any]) -> str:
    """The SHA-256 (hex) of what matters for execution in a checked definition.

    Nodes and links count, in their order; so do titles, configs and bodies. Where a node stands on the canvas, test
    inputs, unknown fields outside configs, the order of keys and fields that are null don't.
    """
    return hashlib.sha256(json.dumps(_essence(raw), sort_keys=True).encode()).hexdigest()


@dataclass
class _Survey:
    """One definition's check: its graph and the bodies that its nodes hold themselves."""

    types: NodeTypes
    limits: Limits
    nodes: int = 0
    links: int = 0
    problems: list[Problem] = field(default_factory=list)

    def check(self, raw: Any, owner: NodeSpec | None = None, level: int = 0) -> Definition | None:
        """Check one graph. `owner` is the container that holds it, `level` the number of containers around it.

        None means that it, or what was checked before, is larger than the limits allow.
        """
        if not self._is_within_limits(raw):
            return None
        reading = read_definition(raw)
        rules = GraphRules(reading, self.types, owner, level, self.limits.nesting)
        if _has_list(raw, "nodes"):
            rules.check()
        self.problems.extend(reading.problems)
        for spec, depth_of_body in rules.held_bodies():
            self._descend(spec, depth_of_body)
        return reading.definition

    def _descend(self, spec: NodeSpec, level: int) -> None:
        found = len(self.problems)
        self.check(spec.subworkflow, spec, level)
        where = f"in the body of {spec.id!r}: "
        self.problems[found:] = [
            replace(problem, message=where + problem.message, node_id=problem.node_id or spec.id)
            for problem in self.problems[found:]
        ]

    def _is_within_limits(self, raw: Any) -> bool:
        if self.nodes > self.limits.nodes or self.links > self.limits.links:
            return False
        self.nodes += _length(raw, "nodes")
        self.links += _length(raw, "links")
        too_many = [
            Problem(f"{count:,} {name} are too many; the limit is {limit:,}")
            for name, count, limit in (
                ("nodes", self.nodes, self.limits.nodes),
                ("links", self.links, self.limits.links),
            )
            if count > limit
        ]
        self.problems.extend(too_many)
        return not too_many


def _has_list(raw: Any, name: str) -> bool:
    return isinstance(raw, Mapping) and isinstance(raw.get(name), list | tuple)


def _length(raw: Any, name: str) -> int:
    return len(raw[name]) if _has_list(raw, name) else 0


def _find_what_is_not_json(raw: Any) -> list[Problem]:
    """What can't be kept as JSON or is nested too deep, node by node where it lies in one."""
    wrong = _not_json(raw)
    if wrong is None:
        return []
    nodes = raw.get("nodes") if isinstance(raw, Mapping) else None
    located = [
        Problem(found, str(node.get("id")))
        for node in (nodes if isinstance(nodes, list | tuple) else ())
        if isinstance(node, Mapping) and (found := _not_json(node))
    ]
    return located or [Problem(wrong)]


def _not_json(value: Any) -> str | None:
    try:
        dump(value)
    except Invalid as error:
        return error.message
    levels = depth(value)
    return f"is nested {levels} levels deep; the limit is {MAX_DEPTH}" if levels > MAX_DEPTH else None


def _presentable(problem: Problem) -> Problem:
    """The problem as text that can be sent: user's words in it may be huge, or not valid Unicode."""
    node_id = problem.node_id if problem.node_id is None else _clean(problem.node_id, _LONGEST_ID)
    return replace(problem, message=_clean(problem.message, _LONGEST_MESSAGE), node_id=node_id)


def _clean(text: str, limit: int) -> str:
    text = text if len(text) <= limit else f"{text[:limit]}…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _essence(graph: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "nodes": [_node_essence(node) for node in graph.get("nodes") or ()],
        "links": [
            [link.get("source_id"), link.get("target_id"), link.get("source_handle") or None]
            for link in graph.get("links") or ()
        ],
    }


def _node_essence(node: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(node.get("config") or {})
    if "subworkflow" in config:
        config["subworkflow"] = _body_essence(config["subworkflow"])
    return {
        "id": node.get("id"),
        "title": node.get("title") or node.get("id"),
        "node_type": node.get("node_type"),
        "parent_id": node.get("parent_id") or None,
        "config": config,
        "subworkflow": _body_essence(node.get("subworkflow")),
    }


def _body_essence(body: Any) -> Any:
    """The essence of a body; anything else that a node keeps under this name counts as it is."""
    parts = (body.get("nodes"), body.get("links")) if isinstance(body, Mapping) else (None,)
    is_graph = all(
        isinstance(items, list | tuple) and all(isinstance(item, Mapping) for item in items)
        for items in parts
    )
    return _essence(body) if is_graph else body
