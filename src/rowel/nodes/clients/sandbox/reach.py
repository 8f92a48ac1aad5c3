"""Which of its inputs a code can see: what it can't need not be carried to it. Only the history of a loop is so big."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rowel.core.iterations import Iterations, without
from rowel.nodes.clients.sandbox.guest.body import parse

_INPUT = "input_model"
#: By these a code sees its inputs without naming them.
_SEES_ALL = frozenset({"locals", "vars", "eval", "exec", "globals", "dir"})

#: Constant keys that follow the name of the inputs: `input_model["a"].b` is ("a", "b").
Chain = tuple[str, ...]


def within_reach(code: str, input_model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs without the histories that the code can't see in any way."""
    less = without(input_model, "")
    if less is input_model:
        return input_model
    chains = _chains(code)
    return (
        less
        if chains is not None and not any(_meets(chain, input_model) for chain in chains)
        else input_model
    )


def _meets(chain: Chain, value: Any) -> bool:
    """Whether a history is in, or is, what this chain leads to. Where a key is missing it may be a method's name."""
    for key in chain:
        if isinstance(value, Iterations) or not isinstance(value, Mapping) or key not in value:
            break
        value = value[key]
    return isinstance(value, Iterations) or (isinstance(value, Mapping) and without(value, "") is not value)


@lru_cache(maxsize=512)
def _chains(code: str) -> frozenset[Chain] | None:
    """All chains by which the code reads its inputs; None where that can't be told."""
    module = ast.Module(parse(code), [])
    above = {child: node for node in ast.walk(module) for child in ast.iter_child_nodes(node)}
    names = [node for node in ast.walk(module) if isinstance(node, ast.Name)]
    if any(node.id in _SEES_ALL for node in names):
        return None
    return frozenset(_chain(node, above) for node in names if node.id == _INPUT)


def _chain(node: ast.AST, above: Mapping[ast.AST, ast.AST]) -> Chain:
    keys: list[str] = []
    while (key := _key(above.get(node), node)) is not None:
        keys.append(key)
        node = above[node]
    return tuple(keys)


def _key(parent: ast.AST | None, node: ast.AST) -> str | None:
    """By which constant key the parent reads this node."""
    if isinstance(parent, ast.Attribute):
        return parent.attr
    is_read = isinstance(parent, ast.Subscript) and parent.value is node
    if is_read and isinstance(parent, ast.Subscript) and isinstance(parent.slice, ast.Constant):
        return parent.slice.value if isinstance(parent.slice.value, str) else None
    return None
