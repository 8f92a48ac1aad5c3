"""A server kills itself at each named point, while clients start, decide, cancel and look: no promise is broken."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from random import Random, SystemRandom

import pytest

from rowel.cli.drill import drill
from rowel.cli.drill.checker import judge
from rowel.cli.drill.drill import Drill, Plan
from rowel.cli.drill.trace import Trace
from rowel.cli.drill.witness import Witness
from rowel.core.faults import Point
from tests.support import not_run
from tests.support.points import PointFleet, reading
from tests.support.torture import ROUNDS

#: How often each point is reached by the time that enough is under way.
TIMES = {
    Point.CONNECT: (1, 1),
    Point.BEGIN_BEFORE: (3, 15),
    Point.BEGIN_AFTER: (3, 15),
    Point.STATEMENT_BEFORE: (10, 90),
    Point.STATEMENT_AFTER: (10, 90),
    Point.COMMIT_BEFORE: (3, 15),
    Point.COMMIT_AFTER: (3, 15),
    Point.READ: (20, 120),
    Point.FILE_OPEN: (1, 2),
    Point.FILE_WRITE: (1, 2),
    Point.FILE_PUBLISH_BEFORE: (1, 2),
    Point.FILE_PUBLISH_AFTER: (1, 2),
}


@pytest.fixture
def seed() -> int:
    """A new one each time at a desk, and the same one in CI; ROWEL_SEED says another."""
    given = os.environ.get("ROWEL_SEED")
    return int(given) if given else 1 if not_run.is_ci() else SystemRandom().randrange(10**6)


def test_kills_at_every_named_point_break_no_promise(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "_PEACEFUL_EACH", 10**9)
    rounds = max(1, ROUNDS)
    dice = Random(seed)
    points = [(point, dice.randint(*TIMES[point])) for _ in range(rounds) for point in Point]
    dice.shuffle(points)
    plan = Plan(seed=seed, kills=len(points) + 1, runs=3, small_rows=3, delay_s=0.02, longest_s=0.15)
    with (
        reading(tmp_path / "data" / "rowel.db") as counts,
        Trace(seed, plan.delay_s) as trace,
        PointFleet(
            tmp_path, http_allow=trace.address, faults=[f"{point}:{number}:kill" for point, number in points]
        ) as fleet,
        closing(Witness(fleet.url)) as witness,
    ):
        history = Drill(plan, fleet, trace, witness, lambda _: None).perform()
    assert [*map(str, judge(history))] == [], f"ROWEL_SEED={seed}"
    assert len(history.faults) == len(points) + 1
    assert sum(start.is_taken for start in history.starts) > 3 * rounds
    assert counts == sorted(counts)
