"""How deep nodes lie inside containers."""

from __future__ import annotations

from collections.abc import Mapping


def find_depths(parents: Mapping[str, str | None]) -> dict[str, int]:
    """How many containers lie around each node. Nodes that are inside themselves are left out."""
    depths: dict[str, int] = {}
    settled: set[str] = set()
    for node_id in parents:
        trail: dict[str, None] = {}
        around: str | None = node_id
        while around is not None and around in parents and around not in settled and around not in trail:
            trail[around] = None
            around = parents[around]
        settled.update(trail)
        _count_back(list(trail), around, depths, parents)
    return depths


def _count_back(
    trail: list[str], around: str | None, depths: dict[str, int], parents: Mapping[str, str | None]
) -> None:
    """Give depths to a trail of nodes, each inside the next; `around` is what the last one lies in."""
    if around in trail:
        inside_itself = trail.index(around)
        trail, depth = trail[:inside_itself], 0
    else:
        depth = depths.get(around, -1) if around is not None and around in parents else -1
    for node_id in reversed(trail):
        depth += 1
        depths[node_id] = depth
