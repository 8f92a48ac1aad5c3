"""Judges a history: every promise that was broken, as a sentence. Pure, and the same for the same history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rowel.cli.drill.checks import effects, ends, people, rows, server
from rowel.cli.drill.evidence import Evidence
from rowel.cli.drill.harms import Finding, Violation
from rowel.cli.drill.history import History

CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    ends.find_lost,
    ends.find_ghosts,
    ends.find_wrong_ends,
    ends.find_changes,
    ends.find_other_versions,
    effects.find_calls_after_completed,
    effects.find_repeated_calls,
    effects.find_missing_calls,
    effects.find_starts_after_cancel,
    people.find_lost_pauses,
    people.find_wrong_winners,
    people.find_lost_decisions,
    rows.find_wrong_batches,
    server.find_breakdowns,
    server.find_slow_drains,
)


def judge(history: History) -> list[Violation]:
    """Everything in this history that breaks a promise."""
    evidence = Evidence(history)
    return [
        Violation(finding.harm, finding.sentence, history.seed)
        for check in CHECKS
        for finding in check(evidence)
    ]
