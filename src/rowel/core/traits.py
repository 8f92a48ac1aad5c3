"""What the core must know about node types, without knowing any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rowel.core.definition import NodeSpec
from rowel.core.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Traits:
    """How nodes of one type behave in a graph. The words are those of `rowel.nodes.base.Node`."""

    is_input: bool = False
    is_output: bool = False
    pure: bool = False
    join: Literal["all", "any"] = "all"
    routes: bool = False
    contains: bool = False
    #: The config field that stands in for a container's body (another workflow's id); None: there is none.
    body_unless: str | None = None
    touches_outside: bool = False


class NodeTypes(Protocol):
    """All node types that are installed."""

    def traits(self, node_type: str) -> Traits | None:
        """The traits of this type; None where there is no such type."""

    def problems(self, spec: NodeSpec) -> Sequence[Problem]:
        """Everything that is wrong with this node's config. The type is known to exist."""

    def handles(self, spec: NodeSpec) -> frozenset[str] | None:
        """The handles that links out of this node may name; None: no say, or its config is wrong."""
