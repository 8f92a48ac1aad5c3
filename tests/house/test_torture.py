"""`make torture`: what may be asked of it, and what it says in the end."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rowel.cli.drill import campaign
from rowel.cli.drill.drill import Plan
from rowel.cli.drill.harms import Harm
from tests.support.histories import lawful
from tests.support.source import ROOT


@pytest.fixture
def script() -> Iterator[ModuleType]:
    path, kept = ROOT / "scripts" / "torture.py", list(sys.path)
    spec = importlib.util.spec_from_file_location("torture_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
    sys.path[:] = kept


def test_without_words_it_is_a_thousand_kills_of_fifty_runs(script: ModuleType) -> None:
    wish = script.Wish.of([])
    assert (wish.kills, wish.runs, wish.store) == (1_000, 50, "sqlite")
    assert wish.seed != script.Wish.of([]).seed


def test_words_say_something_else(script: ModuleType) -> None:
    wish = script.Wish.of(["kills=200", "runs=7", "seed=5", "store=postgres"])
    assert (wish.kills, wish.runs, wish.seed, wish.store) == (200, 7, 5, "postgres")


@pytest.mark.parametrize("word", ["speed=7", "kills", "kills=", "kills=many", "store=oracle"])
def test_words_that_mean_nothing_are_refused(script: ModuleType, word: str) -> None:
    with pytest.raises(SystemExit) as raised:
        script.main([word])
    assert raised.value.code == 2


def spoil_nothing(history: Any) -> None:
    """All promises are kept."""


def tortured(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoil: Any = spoil_nothing
) -> tuple[int, str]:
    """The exit code and the report, on made-up histories."""

    def perform(plan: Plan, *_: Any) -> Any:
        history = lawful(plan.seed)
        spoil(history)
        return history

    monkeypatch.setattr(campaign, "perform", perform)
    monkeypatch.setattr(campaign.tempfile, "tempdir", str(tmp_path))
    report = tmp_path / "report.txt"
    code = script.main(["kills=90", "seed=3", "--report", str(report)])
    return code, report.read_text()


def test_the_report_has_all_figures(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = tortured(script, monkeypatch, tmp_path)
    assert code == 0
    for harm in Harm:
        assert f"{harm.promise:4}{harm.label:34}0\n" in report
    for figure in (
        "seeds",
        "acknowledged",
        "ended",
        "calls made by a task",
        "runs again after",
        "violations",
    ):
        assert figure in report
    assert report in capsys.readouterr().out


def test_what_was_broken_is_in_the_report_and_the_exit_code(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def spoil(history: Any) -> None:
        history.breakdowns = [("a look", 500)]

    code, report = tortured(script, monkeypatch, tmp_path, spoil)
    assert code == 1
    assert "D8 is broken: a look was answered with 500 (seed 3)" in report
    assert "kept: " in report
