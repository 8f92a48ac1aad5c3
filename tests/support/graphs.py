"""Graphs drawn in a line of text."""

from __future__ import annotations

from collections.abc import Iterable

from rowel.core.definition import Link, NodeID, NodeSpec
from rowel.core.graph import Graph, compile_graph


def graph(
    picture: str, *, any_of: str = "", routers: str = "", titles: Iterable[tuple[str, str]] = ()
) -> Graph:
    """Compile a picture: `a>b` is a link, `a.yes>b` one that leaves by the handle `yes`, `a` alone a node.

    Nodes stand in the order in which they are first named. `any_of` and `routers` name nodes.
    """
    links = [_link(word) for word in picture.split() if ">" in word]
    titled = dict(titles)
    specs = [
        NodeSpec(id=NodeID(node_id), title=titled.get(node_id, node_id), node_type="Plain")
        for node_id in _names(picture)
    ]
    return compile_graph(specs, links, joins_any=any_of.split(), routers=routers.split())


def _names(picture: str) -> list[str]:
    names = [end.partition(".")[0] for word in picture.split() for end in word.split(">")]
    return list(dict.fromkeys(names))


def _link(word: str) -> Link:
    source, target = word.split(">")
    node_id, _, handle = source.partition(".")
    return Link(source_id=NodeID(node_id), target_id=NodeID(target), source_handle=handle or None)
