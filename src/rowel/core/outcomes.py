"""All that a node can say when it has run. Outcomes are values: a pause or a skip is not an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """Tokens and money one task spent. `cost_usd` is None where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    requests: int = 0

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(costs) if costs else None,
            self.requests + other.requests,
        )


@dataclass(frozen=True)
class Done:
    """The node did its work. `routes` are the handles that fire; None means every link, with or without a handle."""

    outputs: Fields
    routes: frozenset[str] | None = None


@dataclass(frozen=True)
class Pause:
    """The node waits for a person. `due_at` is when `on_timeout` is applied instead."""

    message: str
    form: Fields | None = None
    assignees: tuple[str, ...] = ()
    due_at: datetime | None = None
    on_timeout: str | None = None
    holds_all: bool = False


@dataclass(frozen=True)
class Skip:
    """The node has nothing to pass on: it and all behind it are canceled."""


@dataclass(frozen=True)
class Expand:
    """Run the node's own body once with these inputs; then the node is asked again (`Node.after`)."""

    inputs: Fields


@dataclass(frozen=True)
class StartChild:
    """Run another workflow as a child run; its end becomes this node's outcome."""

    workflow_id: str
    version: int | None
    inputs: Fields


@dataclass(frozen=True)
class Failure:
    """The node failed: message first, then a short trace of the user's own code."""

    message: str
    trace: str | None = None
    retryable: bool = False
    retry_after_s: float | None = None
    details: Fields = field(default_factory=dict)

    @property
    def error(self) -> str:
        return f"{self.message}\n{self.trace}" if self.trace else self.message


Outcome = Done | Pause | Skip | Expand | StartChild | Failure
