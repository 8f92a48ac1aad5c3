"""A Rowel is killed again and again while clients start, decide, cancel and look, and keeps every promise.

Where one is broken the message says the seed: ROWEL_SEED=... before pytest throws its dice again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

import pytest

from rowel.cli.drill.checker import judge
from rowel.cli.drill.drill import Plan, perform
from rowel.cli.drill.figures import Figures
from rowel.cli.drill.samples import SAMPLES
from tests.support import not_run
from tests.support.postgres import REMEDY, Postgres, programs, server

#: Workers that die are noticed within two seconds: nobody waits long in a test.
SHORT = {
    "ROWEL_HEARTBEAT_S": "0.5",
    "ROWEL_STALLED_S": "2",
    "ROWEL_SWEEP_S": "0.5",
    "ROWEL_FETCH_POLL_S": "0.25",
    "ROWEL_RECONCILE_S": "1",
    "ROWEL_FALLBACK_S": "1",
}


@pytest.fixture
def seed() -> int:
    """A new one each time at a desk, and the same one in CI; ROWEL_SEED says another."""
    given = os.environ.get("ROWEL_SEED")
    return int(given) if given else 1 if not_run.is_ci() else SystemRandom().randrange(10**6)


@pytest.fixture
def own_postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A server that nobody else's tests are on."""
    binaries = programs()
    if binaries is None:
        not_run.leave_out(request, "Postgres", REMEDY)
    with server(binaries) as postgres:
        yield postgres


def survive(plan: Plan, home: Path) -> Figures:
    """Carry the plan out and judge it. What was seen must be worth it: of every kind something."""
    history = perform(plan, home, lambda _: None)
    violations = judge(history)
    assert [*map(str, violations)] == [], f"ROWEL_SEED={plan.seed}"
    assert {run.sample for run in history.runs} == set(SAMPLES)
    assert any(decision.is_taken for decision in history.decisions)
    assert history.cancels
    figures = Figures()
    figures.add(history, violations)
    return figures


def test_twenty_kills_of_twenty_runs_each_break_no_promise(seed: int, tmp_path: Path) -> None:
    plan = Plan(seed=seed, kills=20, runs=20, small_rows=8, longest_s=0.9)
    figures = survive(plan, tmp_path)
    assert figures.kills == 20
    assert figures.acknowledged > 300
    assert figures.interrupted > 0, f"no kill interrupted anything: ROWEL_SEED={seed}"


def test_kills_of_workers_and_restarts_of_postgres_break_no_promise(
    seed: int, tmp_path: Path, own_postgres: Postgres
) -> None:
    with own_postgres.database() as url:
        plan = Plan(
            seed=seed,
            kills=10,
            runs=12,
            rows=60,
            small_rows=8,
            database_url=url,
            workers=3,
            settings=SHORT,
            restart_store=own_postgres.restart,
        )
        figures = survive(plan, tmp_path)
    assert figures.kills == 10
    assert figures.interrupted > 0, f"no kill interrupted anything: ROWEL_SEED={seed}"
