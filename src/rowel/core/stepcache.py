"""What a node gave, kept for those who ask the same of an equal one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rowel.core.definition import NodeSpec
from rowel.core.errors import Invalid
from rowel.core.jsontext import fingerprint
from rowel.core.outcomes import Fields

#: What a config says about how a node is run, and not about what it gives.
NOT_ASKED = frozenset({"cache_s", "retry", "timeout_s", "on_error", "on_interrupt"})


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """What a node gave. The key says what was asked, and nobody can read it from there."""

    key: str
    outputs: Fields
    expires_at: datetime


def step_key(spec: NodeSpec, inputs: Fields) -> str | None:
    """A hash that nodes of one type share where their configs and what they received are equal; None where these are
    not JSON."""
    config = {name: value for name, value in spec.config.items() if name not in NOT_ASKED}
    try:
        return fingerprint([spec.node_type, config, inputs])
    except (TypeError, ValueError, RecursionError, Invalid):
        return None
