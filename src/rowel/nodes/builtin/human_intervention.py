"""Waiting for a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator

from rowel.core.definition import NodeSpec
from rowel.core.outcomes import Fields, Pause
from rowel.core.schemas import Schema
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context

#: The handle of the link that is taken when a person declines.
DECLINED = "declined"
_YEAR_S = 366 * 86_400


class HumanInterventionConfig(Config):
    message: str = Field(
        default="Human intervention required", description="Plain text for the person who decides."
    )
    block_only_dependent_nodes: bool = Field(
        default=True,
        description="False holds back every node that has not started, not only those behind this one.",
    )
    form: dict[str, Any] | str | None = Field(
        default=None, description="A JSON Schema of what the person fills in."
    )
    assignees: list[str] = Field(default_factory=list, description="Who is asked, by user id.")
    timeout_s: float | None = Field(
        default=None,
        gt=0,
        le=_YEAR_S,
        description="Seconds until on_timeout is applied; without it the wait has no end.",
    )
    on_timeout: Literal["approve", "decline", "fail"] = Field(
        default="fail", description="What happens when nobody decided in time."
    )

    @field_validator("on_timeout", mode="before")
    @classmethod
    def _ignore_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


class HumanInterventionNode(Node[HumanInterventionConfig]):
    """Pauses until a person approves, declines or overrides.

    Approved, its outputs are what it received, updated with what the person filled in; overridden, what the person
    gave alone. A link with the handle `declined` is taken when the person declines; without one the run is canceled.
    """

    category = "Logic"
    pure = True

    def __init__(self, spec: NodeSpec, config: HumanInterventionConfig) -> None:
        super().__init__(spec, config)
        self._form = Schema.of(config, "form")

    def handles(self) -> frozenset[str]:
        return frozenset({DECLINED})

    async def run(self, inputs: Fields, context: Context) -> Pause:
        wait_s = self.config.timeout_s
        return Pause(
            message=self.config.message,
            form=self._form.json_schema if self._form else None,
            assignees=tuple(self.config.assignees),
            due_at=None if wait_s is None else context.now() + timedelta(seconds=wait_s),
            on_timeout=None if wait_s is None else self.config.on_timeout,
            holds_all=not self.config.block_only_dependent_nodes,
        )
