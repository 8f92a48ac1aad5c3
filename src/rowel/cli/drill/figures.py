"""Histories as numbers that add up over many drills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from rowel.cli.drill.evidence import Evidence
from rowel.cli.drill.harms import Harm, Violation
from rowel.cli.drill.history import Blow, History


@dataclass(kw_only=True)
class Figures:
    """What was done, and what came of it."""

    drills: int = 0
    blows: Counter[Blow] = field(default_factory=Counter)
    #: Starts that were answered with 2xx, and runs that were there in the end, with rows and child runs.
    acknowledged: int = 0
    runs: int = 0
    ended: int = 0
    rows: int = 0
    decisions: int = 0
    cancels: int = 0
    #: How many tasks called how often.
    tries: Counter[int] = field(default_factory=Counter)
    harms: Counter[Harm] = field(default_factory=Counter)
    #: Seconds from the end of a server until it took work again, and from a blow until a task that was under way was
    #: tried again.
    ready_s: list[float] = field(default_factory=list)
    retried_s: list[float] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.blows[Blow.KILL]

    @property
    def interrupted(self) -> int:
        """Tasks that called more than once."""
        return sum(tasks for tries, tasks in self.tries.items() if tries > 1)

    def add(self, history: History, violations: Iterable[Violation]) -> None:
        """Count one more drill."""
        evidence = Evidence(history)
        self.drills += 1
        self.blows.update(fault.blow for fault in history.faults)
        self.acknowledged += sum(start.is_taken for start in history.starts)
        self.decisions += sum(decision.is_taken for decision in history.decisions)
        self.cancels += sum(cancel.is_taken for cancel in history.cancels)
        runs = [evidence.last[run_id] for run_id in set(history.listed) if run_id in evidence.last]
        self.runs += len(runs)
        self.ended += sum(run.status.is_final for run in runs)
        self.rows += sum(run.row_index is not None for run in runs)
        self.tries.update(len(calls) for calls in evidence.calls.values())
        self.harms.update(violation.harm for violation in violations)
        self.ready_s += [fault.ready - fault.ended for fault in history.faults if fault.ready is not None]
        self.retried_s += _retried(evidence)


def _retried(evidence: Evidence) -> Iterable[float]:
    """For each task that was under way when a blow fell: how long until it was tried again."""
    for calls in evidence.calls.values():
        for later in calls[1:]:
            before = [blow.begun for blow in evidence.blows if blow.begun < later.begun]
            if before:
                yield later.begun - max(before)


def spread(seconds: list[float]) -> str:
    """Median and largest."""
    return f"{median(seconds):.2f} s, at most {max(seconds):.2f} s" if seconds else "none"
