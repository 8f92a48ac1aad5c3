"""What operators say about how often models may be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowel.core.limits import EVERY_MODEL, Limit, Limits
from rowel.nodes.clients.llm.providers import known_name

EXAMPLE = '{"openai/gpt-4o": {"requests_per_minute": 500, "tokens_per_minute": 30000, "at_once": 20}}'


def read_limits(given: Any) -> Limits:
    """Read {`provider/model`, `provider/*` or `*`: limit}. Raises `ValueError` saying what it must be."""
    if not isinstance(given, Mapping):
        raise ValueError(f"JSON such as {EXAMPLE}")
    return Limits({_pattern(str(pattern)): _limit(str(pattern), value) for pattern, value in given.items()})


def _pattern(text: str) -> str:
    name = text if text == EVERY_MODEL else known_name(text)
    if name is None:
        raise ValueError(
            f"about provider/model, provider/* or *; {text[:128]!r} begins with no provider's name and a slash"
        )
    return name


def _limit(pattern: str, value: Any) -> Limit:
    try:
        return Limit.read(value)
    except ValueError as error:
        raise ValueError(f"{error}, for {pattern[:128]!r}") from None
