"""Finds the node types: one a module in `rowel.nodes.builtin`, and those that other packages offer.

A package offers node types by entry points of the group `rowel.nodes`, each naming a `Node` subclass.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, InvalidDefinition, Problem, RowelError
from rowel.core.traits import Traits
from rowel.nodes import builtin
from rowel.nodes.base import Config, Node
from rowel.nodes.palette import describe_type

AnyNode = Node[Any]

ENTRY_POINT_GROUP = "rowel.nodes"


class Registry:
    """Node types by name. It is what the core knows as `NodeTypes`, and it builds nodes."""

    def __init__(self, node_types: Iterable[type[AnyNode]]) -> None:
        """Raises `RowelError` where two types have the same name."""
        self._types: dict[str, type[AnyNode]] = {}
        for node_type in node_types:
            other = self._types.setdefault(node_type.__name__, node_type)
            if other is not node_type:
                where = f"{other.__module__} and {node_type.__module__}"
                raise RowelError(f"two node types are called {node_type.__name__}: those in {where}")
        self._traits = {name: _traits_of(node_type) for name, node_type in self._types.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._types)

    def traits(self, node_type: str) -> Traits | None:
        """The traits of this type; None where there is no such type."""
        return self._traits.get(node_type)

    def problems(self, spec: NodeSpec) -> Sequence[Problem]:
        """Everything that is wrong with this node's config."""
        return self._try(spec)[1]

    def handles(self, spec: NodeSpec) -> frozenset[str] | None:
        """The handles that links out of this node may name; None where it has no say or its config is wrong."""
        node = self._try(spec)[0]
        return node.handles() if node is not None else None

    def build(self, spec: NodeSpec) -> AnyNode:
        """Make the node. Raises `InvalidDefinition` where its type is unknown or its config is wrong."""
        node, problems = self._try(spec)
        if node is None:
            raise InvalidDefinition(problems)
        return node

    def describe(self) -> dict[str, list[dict[str, Any]]]:
        """All node types by category, as `GET /node/supported_types/` answers them."""
        palette: dict[str, list[dict[str, Any]]] = {}
        for node_type in self._types.values():
            palette.setdefault(node_type.category, []).append(describe_type(node_type, _traits_of(node_type)))
        return palette

    def _try(self, spec: NodeSpec) -> tuple[AnyNode | None, list[Problem]]:
        node_type = self._types.get(spec.node_type)
        if node_type is None:
            return None, [Problem(f"there is no node type {spec.node_type!r}", spec.id, "node_type")]
        try:
            config = node_type.config_type.model_validate(_without_nulls(spec.config, node_type.config_type))
        except ValidationError as error:
            return None, list(_config_problems(spec, error))
        problems = list(node_type.problems(spec, config))
        if problems:
            return None, problems
        try:
            return node_type(spec, config), []
        except Invalid as error:
            return None, [Problem(error.message, spec.id, "config")]


@cache
def load_registry() -> Registry:
    """All node types of this installation. Raises `RowelError` naming the module or package that breaks the rules."""
    return Registry([*find_builtin_types(builtin), *_find_offered_types()])


def find_builtin_types(package: ModuleType) -> Iterator[type[AnyNode]]:
    """The one node type that each module of a package defines. Raises `RowelError` where it isn't one."""
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        found = [
            value
            for value in vars(module).values()
            if _is_node_type(value) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            raise RowelError(f"{module.__name__} must define exactly one node type, and defines {len(found)}")
        yield found[0]


def _find_offered_types() -> Iterator[type[AnyNode]]:
    for offered in entry_points(group=ENTRY_POINT_GROUP):
        try:
            node_type = offered.load()
        except Exception as error:
            raise RowelError(f"the node type {offered.value!r} can't be loaded: {error}") from error
        if not _is_node_type(node_type):
            raise RowelError(
                f"{offered.value!r} is offered as a node type and is not a subclass of rowel's Node"
            )
        yield node_type


def _is_node_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Node) and value is not Node


def _traits_of(node_type: type[AnyNode]) -> Traits:
    return Traits(
        is_input=node_type.is_input,
        is_output=node_type.is_output,
        pure=node_type.pure,
        join=node_type.join,
        routes=node_type.routes,
        contains=node_type.contains,
        body_unless=node_type.body_unless,
        touches_outside=node_type.touches_outside,
    )


def _without_nulls(config: Mapping[str, Any], config_type: type[Config]) -> dict[str, Any]:
    """The config without declared fields that are null: editors write null where they mean nothing."""
    declared = config_type.model_fields
    return {name: value for name, value in config.items() if value is not None or name not in declared}


def _config_problems(spec: NodeSpec, error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(["config", *map(str, detail["loc"])])
        yield Problem(detail["msg"], spec.id, place)
