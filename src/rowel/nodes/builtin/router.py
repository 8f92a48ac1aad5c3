"""Branching by conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rowel.core.conditions import Condition, holds
from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid, Problem
from rowel.core.outcomes import Done, Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context


class Rule(BaseModel):
    """One condition as users write it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    variable: str = Field(default="", description="What is compared: title.path.")
    operator: str = Field(
        description="contains, equals, number_equals, greater_than, less_than, starts_with, ..."
    )
    value: Any = Field(default=None, description="What it is compared with; any JSON value.")
    logicalOperator: str | None = Field(  # noqa: N815  # the name in the definition format
        default=None, description="AND (default) or OR: how it joins the conditions before it."
    )

    @property
    def condition(self) -> Condition:
        """Raises `Invalid` for a word that is none."""
        return Condition(self.variable, self.operator, self.value, self.logicalOperator)  # type: ignore[arg-type]


class Route(BaseModel):
    """When a route fires. Without conditions it always does."""

    model_config = ConfigDict(extra="allow", frozen=True)

    conditions: list[Rule] | None = Field(default=None, description="Joined from left to right.")


class RouterConfig(Config):
    route_map: dict[str, Route] = Field(
        default_factory=dict, description="{route: {conditions}}. Links name their route in source_handle."
    )


class RouterNode(Node[RouterConfig]):
    """Hands what it received to every route whose conditions hold. Where none holds, all behind it is canceled.

    Its output is {route: data or null}; under its title a node finds what the route of its link carries.
    """

    category = "Logic"
    pure = True
    routes = True

    def __init__(self, spec: NodeSpec, config: RouterConfig) -> None:
        super().__init__(spec, config)
        self._conditions = {
            name: [rule.condition for rule in route.conditions or ()]
            for name, route in config.route_map.items()
        }

    @classmethod
    def problems(cls, spec: NodeSpec, config: RouterConfig) -> Iterable[Problem]:
        for name, route in config.route_map.items():
            if not name:
                yield Problem("a route needs a name", spec.id, "config.route_map")
            yield from cls._rule_problems(spec, name, route)

    @staticmethod
    def _rule_problems(spec: NodeSpec, name: str, route: Route) -> Iterator[Problem]:
        for number, rule in enumerate(route.conditions or ()):
            try:
                _ = rule.condition
            except Invalid as error:
                yield Problem(error.message, spec.id, f"config.route_map.{name}.conditions.{number}")

    def handles(self) -> frozenset[str]:
        return frozenset(self._conditions)

    async def run(self, inputs: Fields, context: Context) -> Done:
        fired = frozenset(name for name, conditions in self._conditions.items() if holds(conditions, inputs))
        return Done({name: inputs if name in fired else None for name in self._conditions}, routes=fired)
