"""How many rows of a batch may fail before no more are begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from rowel.core.errors import InvalidInputs


@dataclass(frozen=True, kw_only=True)
class FailureThreshold:
    """`count` rows may fail, and `percent` of the rows that have ended; what is None has no limit.

    The share is judged once `after` rows have ended, or all where there are fewer. Without `after` it is judged once
    a single failure would be no more than the share: 5 percent after 20 rows.
    """

    count: int | None = None
    percent: float | None = None
    after: int | None = None

    @classmethod
    def asked(cls, value: Mapping[str, Any]) -> FailureThreshold:
        """From what somebody asked for. Raises `InvalidInputs`."""
        unknown = sorted(value.keys() - {"count", "percent", "after"})
        if unknown:
            raise InvalidInputs(f"failure_threshold has no field {str(unknown[0])[:128]!r}.")
        threshold = cls(**value)
        _check("count", threshold.count, 0, None)
        _check("percent", threshold.percent, 0, 100)
        _check("after", threshold.after, 1, None)
        if threshold.count is None and threshold.percent is None:
            raise InvalidInputs("failure_threshold says neither count nor percent.")
        if threshold.after is not None and threshold.percent is None:
            raise InvalidInputs("failure_threshold: after is about percent, which is not said.")
        return threshold

    @classmethod
    def read(cls, value: Mapping[str, Any] | None) -> FailureThreshold | None:
        """From what `write` gave."""
        return None if value is None else cls(**value)

    def write(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"count": self.count, "percent": self.percent, "after": self.after}

    def passed(self, *, failed: int, settled: int, total: int) -> str | None:
        """What was passed, in words, where `failed` of `settled` rows that have ended are too many; else None."""
        counts = f"({failed} of {settled})"
        if self.count is not None and failed > self.count:
            return f"more than {self.count} row{'' if self.count == 1 else 's'} failed {counts}"
        is_judged = self.percent is not None and settled >= min(self._patience(), total)
        if is_judged and failed * 100 > _exact(self.percent) * settled:
            return f"more than {self.percent:g} % of rows failed {counts}"
        return None

    def _patience(self) -> int:
        """How many rows must have ended before their share is judged."""
        if self.after is not None:
            return self.after
        return ceil(100 / _exact(self.percent)) if self.percent else 1


def _check(name: str, value: Any, least: int, most: int | None) -> None:
    kinds = (int, float) if name == "percent" else (int,)
    if value is None:
        return
    is_fit = isinstance(value, kinds) and not isinstance(value, bool) and value >= least
    if not is_fit or (most is not None and value > most):
        bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
        kind = "number" if name == "percent" else "whole number"
        raise InvalidInputs(f"failure_threshold: {name} must be a {kind} {bounds}.")


def _exact(number: float | None) -> Fraction:
    """The number as it was written, so that 5.7 percent of 1,000 rows are 57."""
    return Fraction(str(number or 0))
