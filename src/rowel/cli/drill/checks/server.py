"""Whether the server answered as it must, and ended when it was asked to."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from rowel.cli.drill.evidence import Evidence
from rowel.cli.drill.harms import Finding, Harm
from rowel.cli.drill.history import Blow

#: Seconds within which a process that was asked to end must have ended.
DRAIN_S = 30.0
_CLEAN = frozenset({0, -signal.SIGTERM})


def find_breakdowns(evidence: Evidence) -> Iterator[Finding]:
    """A server that can't do what it is asked says 503, and nothing else of that kind."""
    for asked, status in evidence.history.breakdowns:
        yield Finding(Harm.BREAKDOWN, f"{asked} was answered with {status}")


def find_slow_drains(evidence: Evidence) -> Iterator[Finding]:
    """SIGTERM ends the process in time, and cleanly."""
    for fault in evidence.history.faults:
        if fault.blow is not Blow.TERMINATE:
            continue
        took_s = fault.ended - fault.begun
        if took_s > DRAIN_S:
            yield Finding(Harm.SLOW_DRAIN, f"SIGTERM took {took_s:.1f} s, longer than {DRAIN_S:g} s")
        elif fault.code not in _CLEAN:
            yield Finding(Harm.SLOW_DRAIN, f"SIGTERM ended the process with code {fault.code}")
