"""`rowel drill` as a process: what it prints, how it ends, what it leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from rowel.cli.drill import campaign
from rowel.cli.drill.drill import Plan
from rowel.cli.exits import Exit
from rowel.cli.main import app
from tests.support.corruptions import CORRUPTIONS
from tests.support.histories import lawful
from tests.support.processes import descendants

SMALL = ("--rows", "24", "--kills", "1", "--seed", "11")


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    """The command as a process of its own, with a home for what it leaves."""
    environment = {
        **os.environ,
        "TMPDIR": str(home),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "ROWEL_DATA": str(home / "nobody-touches-this"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "rowel", "drill", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_drill_of_a_real_server_finds_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    drill = start(tmp_path, *SMALL)
    told, _ = drill.communicate(timeout=120)
    assert drill.returncode == Exit.DONE, told
    assert "Seed 11: 24 rows" in told
    assert re.search(r"kills +1 \(kill -9\)", told)
    assert re.search(r"lost rows[^0-9]+0 ", told)
    assert "Nothing was lost" in told
    assert list(tmp_path.iterdir()) == []


def test_whoever_ends_it_ends_what_it_started(tmp_path: Path) -> None:
    drill = start(tmp_path, "--minutes", "5")
    assert drill.stdout is not None
    assert "Seed" in drill.stdout.readline()
    line = drill.stdout.readline()
    assert "kill" in line or "calls" in line
    below = descendants(drill.pid)
    assert below
    drill.send_signal(signal.SIGTERM)
    drill.communicate(timeout=60)
    assert drill.returncode == 128 + signal.SIGINT
    assert [pid for pid in below if is_running(pid)] == []
    assert list(tmp_path.iterdir()) == []


def is_running(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Plans that were made; instead of a real server there is a lawful history."""
    plans: list[Plan] = []

    def perform(plan: Plan, *_: Any) -> Any:
        plans.append(plan)
        return lawful(plan.seed)

    monkeypatch.setattr(campaign, "perform", perform)
    return plans


def test_a_broken_promise_is_exit_code_1_and_its_data_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def perform(plan: Plan, home: Path, *_: Any) -> Any:
        history = lawful(plan.seed)
        CORRUPTIONS["a_row_is_in_the_file_twice"][1](history, Random(1))
        return history

    monkeypatch.setattr(campaign, "perform", perform)
    monkeypatch.setattr(campaign.tempfile, "tempdir", str(tmp_path))
    result = CliRunner().invoke(app, ["drill", "--kills", "0"])
    assert result.exit_code == Exit.RUN_FAILED
    assert "D7 is broken: row" in result.stdout
    (kept,) = tmp_path.iterdir()
    assert str(kept) in result.stdout


def test_a_seed_is_made_up_where_none_is_given_and_always_told(performed: list[Plan]) -> None:
    told = [CliRunner().invoke(app, ["drill", "--kills", "0"]).stdout for _ in range(2)]
    assert f"Seed {performed[0].seed}:" in told[0]
    assert performed[0].seed != performed[1].seed


def test_many_kills_are_several_drills_with_seeds_that_can_be_given_again(performed: list[Plan]) -> None:
    kills = sum(fault.blow == "kill" for seed in (5, 6) for fault in lawful(seed).faults)
    result = CliRunner().invoke(app, ["drill", "--seed", "5", "--kills", str(kills)])
    assert result.exit_code == Exit.DONE
    assert [plan.seed for plan in performed] == [5, 6]
    assert {plan.kills for plan in performed} == {campaign.KILLS_A_DRILL}


def test_a_time_is_drill_after_drill(performed: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr(campaign, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    result = campaign.campaign(Plan(seed=8, kills=1, runs=1), lambda _: None, seconds=3)
    assert [plan.seed for plan in performed] == [8, 9, 10]
    assert (result.figures.drills, result.took_s) == (3, 3)


def test_a_database_that_is_not_there_is_told_plainly() -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    result = CliRunner().invoke(app, ["drill", "--database-url", url])
    assert result.exit_code == Exit.UNAVAILABLE
    assert "A drill works on a database of its own" in result.stderr
    assert "secret" not in result.output
