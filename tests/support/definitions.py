"""Definitions as users write them, in few words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def node(node_id: str, node_type: str = "Plain", **fields: Any) -> dict[str, Any]:
    """One node; `fields` are what else its JSON holds (title, config, parent_id, ...)."""
    return {"id": node_id, "node_type": node_type, **fields}


def link(source_id: str, target_id: str, handle: str | None = None) -> dict[str, Any]:
    """One link; `handle` is the route of the source that it takes."""
    plain = {"source_id": source_id, "target_id": target_id}
    return plain if handle is None else {**plain, "source_handle": handle}


def chain(*node_ids: str) -> list[dict[str, Any]]:
    """Links from each of the nodes to the next."""
    return [link(source, target) for source, target in pairwise(node_ids)]


def workflow(*nodes: dict[str, Any], links: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A definition of these nodes and links, and nothing else."""
    return {"nodes": list(nodes), "links": links or []}
