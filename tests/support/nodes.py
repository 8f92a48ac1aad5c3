"""Makes nodes as the registry does, from a config in JSON."""

from __future__ import annotations

from typing import Any

from rowel.core.definition import NodeID, NodeSpec
from rowel.core.errors import InvalidDefinition
from rowel.core.outcomes import Done, Fields, Outcome
from rowel.nodes.base import Node
from rowel.nodes.context import Context
from rowel.nodes.registry import Registry
from tests.support.contexts import make_context


def spec_of(node_type: type[Node[Any]], config: dict[str, Any], node_id: str = "node") -> NodeSpec:
    return NodeSpec(id=NodeID(node_id), title=node_id, node_type=node_type.__name__, config=config)


def build(node_type: type[Node[Any]], **config: Any) -> Any:
    """The node of this type with this config. Raises `InvalidDefinition`."""
    return Registry([node_type]).build(spec_of(node_type, config))


def problems_of(node_type: type[Node[Any]], **config: Any) -> list[str]:
    """What is wrong with this config, as `field: message`."""
    try:
        build(node_type, **config)
    except InvalidDefinition as error:
        return [f"{problem.field}: {problem.message}" for problem in error.problems]
    return []


async def outcome_of(node: Node[Any], inputs: Fields, context: Context | None = None) -> Outcome:
    """What the node says to these inputs; a plain mapping counts as `Done`, as it does for the engine."""
    found = await node.run(inputs, context or make_context())
    return Done(found) if isinstance(found, dict) else found
