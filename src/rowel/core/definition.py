"""A workflow's definition: the JSON that users write, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

NodeID = NewType("NodeID", str)


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """One node as its user wrote it."""

    id: NodeID
    #: What templates and code call it; the id where the user gave none.
    title: str
    node_type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    #: The loop or subworkflow node whose body this node is part of.
    parent_id: NodeID | None = None
    #: The body a container holds itself (`config.subworkflow`), as raw JSON.
    subworkflow: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where one node's outputs go. `source_handle` names a route of a router."""

    source_id: NodeID
    target_id: NodeID
    source_handle: str | None = None
    target_handle: str | None = None


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Nodes and links in the user's order. `raw` is the JSON with missing titles filled in."""

    nodes: tuple[NodeSpec, ...]
    links: tuple[Link, ...]
    raw: Mapping[str, Any]
