"""Drills one after another, each on a directory of its own, so that neither disk nor memory grow."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rowel.cli.drill.checker import judge
from rowel.cli.drill.databases import throwaway_database
from rowel.cli.drill.drill import Plan, Tell, perform
from rowel.cli.drill.figures import Figures
from rowel.cli.drill.fleet import Unfit
from rowel.cli.drill.harms import Violation

#: Kills of one drill in a campaign: then everything must have ended, and the next one begins on a fresh directory.
KILLS_A_DRILL = 20
#: Violations that are kept; all are counted.
_KEPT = 100


@dataclass
class Result:
    """What came of several drills."""

    figures: Figures
    violations: list[Violation]
    #: The directories of drills that broke a promise: data, and what the processes said.
    kept: list[Path]
    took_s: float = 0.0


def campaign(
    plan: Plan,
    tell: Tell,
    *,
    kills: int | None = None,
    seconds: float = 0.0,
    after_each: Callable[[Result], None] | None = None,
) -> Result:
    """Drill by drill until `kills` kills are done, or without that for so many seconds; at least one drill.

    Each has the seed of the one before it plus 1. `after_each` is shown what has come of it so far. Raises `Unfit`,
    and `NoDatabase`.
    """
    begun = time.monotonic()
    result = Result(Figures(), [], [])
    while True:
        left = plan.kills if kills is None else kills - result.figures.kills
        one = replace(plan, seed=plan.seed + result.figures.drills, kills=min(plan.kills, left))
        _drill(one, tell, result)
        result.took_s = time.monotonic() - begun
        if after_each is not None:
            after_each(result)
        is_done = result.took_s >= seconds if kills is None else result.figures.kills >= kills
        if is_done:
            return result


def _drill(plan: Plan, tell: Tell, result: Result) -> None:
    home = Path(tempfile.mkdtemp(prefix="rowel-drill-"))
    try:
        with throwaway_database(plan.database_url) as database_url:
            history = perform(replace(plan, database_url=database_url), home, tell)
    except Unfit as unfit:
        raise Unfit(f"{unfit}\nThe data are kept in {home}.") from unfit
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    violations = judge(history)
    result.figures.add(history, violations)
    result.violations += violations[: _KEPT - len(result.violations)]
    if violations:
        result.kept.append(home)
    else:
        shutil.rmtree(home, ignore_errors=True)
