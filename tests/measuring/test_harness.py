"""The parts of the bench that start, ask, install and count: what fails is told, and never a figure."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from bench import cases, ledgers, peers, plot, report
from bench.lab import Lab, Side, rate
from bench.processes import Driver, environment
from bench.readings import Conditions, NotDone, Reading, Row, Series, compare, least

QUIET = Conditions(busy=0.0, loop_s=0.004)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "CACHE", tmp_path)
    monkeypatch.setattr("bench.machine.conditions", lambda: QUIET)
    with ExitStack() as stack:
        yield Lab(is_quick=True, stack=stack)


def test_sides_take_turns(lab):
    order: list[str] = []

    def side(name: str) -> Side:
        return Side(name, "runs/s", lambda: float(order.append(name) or len(order)))

    taken = lab.take_turns([side("a"), side("b")])

    assert order == ["a", "b", "a", "b"]
    assert taken["a"].values == [1, 3]
    assert taken["b"].values == [2, 4]


def test_a_side_that_fails_is_asked_no_more_and_its_trouble_is_told(lab):
    def fail() -> float:
        raise NotDone("3 results were wrong")

    taken = lab.take_turns([Side("Rowel", "runs/s", lambda: 5.0), Side("peer", "runs/s", fail)])

    assert taken["peer"].readings == ()
    assert compare("work", taken["Rowel"], taken["peer"], turns=2).why == (
        "peer: the work was not done: 3 results were wrong"
    )


def test_work_that_is_not_in_the_database_gives_no_ratio(lab):
    def prove() -> None:
        raise NotDone("10 runs were said to be finished and 9 are in the database")

    taken = lab.take_turns([Side("Rowel", "runs/s", lambda: 5.0, prove=prove)])

    assert "9 are in the database" in taken["Rowel"].trouble


def test_wrong_results_are_not_work():
    assert rate({"done": 30, "wrong": 0, "seconds": 3}) == 10
    with pytest.raises(NotDone, match="1 of 30 results were wrong"):
        rate({"done": 29, "wrong": 1, "seconds": 3})


def test_runs_are_counted_in_the_file(tmp_path):
    path = tmp_path / "rowel.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (status TEXT)")
    connection.executemany("INSERT INTO runs VALUES (?)", [("COMPLETED",), ("COMPLETED",), ("RUNNING",)])
    connection.commit()
    connection.close()

    ledgers.check(path, ledgers.ROWEL, 2)
    with pytest.raises(NotDone, match="3 runs were said to be finished and 2 are"):
        ledgers.check(path, ledgers.ROWEL, 3)


@pytest.mark.parametrize("said", [{}, {"synchronous": []}, {"synchronous": [1, 2]}, {"synchronous": [0]}])
def test_a_side_that_does_not_wait_for_the_disk_is_refused(said):
    with pytest.raises(NotDone, match="not FULL"):
        ledgers.check_settings(said)


def test_full_and_extra_wait_for_the_disk():
    ledgers.check_settings({"synchronous": [2, 3]})


def test_a_peer_that_cannot_be_installed_says_so(tmp_path, monkeypatch):
    (tmp_path / "nobody.txt").write_text("nobody==1\n")
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin" / "uv"
    uv.write_text("#!/bin/sh\necho 'no such package' >&2\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setattr(peers, "LISTS", tmp_path)
    monkeypatch.setattr(peers, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))

    with pytest.raises(peers.NotInstalled, match="nobody could not be installed: no such package"):
        peers.python("nobody")


def test_every_package_of_a_peer_is_pinned_with_hashes():
    lists = sorted(peers.LISTS.glob("*.txt"))

    assert [path.stem for path in lists] == sorted(path.stem for path in peers.LISTS.glob("*.in"))
    for path in lists:
        text = path.read_text()
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in pin for pin in pins)
        assert "--hash=sha256:" in text
        assert "index-url" not in text
        assert "://" not in text


def driver(script: Path, folder: Path) -> Driver:
    return Driver(Path(sys.executable), str(script.with_suffix("")), variables=environment(), folder=folder)


def test_a_driver_that_ends_says_its_last_words(tmp_path):
    script = tmp_path / "ends.py"
    script.write_text("import sys; sys.exit('there is no disk')")

    with driver(script, tmp_path) as ending, pytest.raises(NotDone, match="ended: there is no disk"):
        ending.ask("runs")


def test_a_driver_that_hangs_is_waited_for_no_longer_than_allowed(tmp_path):
    script = tmp_path / "hangs.py"
    script.write_text("input(); input()")

    with driver(script, tmp_path) as hanging, pytest.raises(NotDone, match="did not answer in time"):
        hanging.ask("runs", patience_s=0.2)


def test_a_driver_tells_what_went_wrong_in_it(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(peers.ROOT / 'bench' / 'drivers')!r})\n"
        "import asyncio, lines\n"
        "async def runs(n): print('chatter'); return {'done': 1 // n}\n"
        "asyncio.run(lines.answer({'runs': runs}))\n"
    )

    with driver(script, tmp_path) as failing:
        assert failing.ask("runs", n=1) == {"done": 1}
        with pytest.raises(NotDone, match="ZeroDivisionError"):
            failing.ask("runs", n=0)


def test_every_case_has_a_title_and_says_what_it_would_have_measured():
    found = cases.find()

    assert "chain" in found
    for name, case in found.items():
        assert case.TITLE, name
        assert callable(case.measure), name
        assert all(len(row) == 3 for row in case.ROWS), name


def row(value: float | None, why: str = "") -> Row:
    ours = Series("Rowel", "runs/s", (Reading(100, QUIET),))
    return Row("chain", "LangGraph", "×", value, (4, 6), least(10), ours, ours, why)


def test_the_page_has_a_line_for_what_was_measured_and_for_what_was_not():
    rows = {"chain": [row(12.3), row(None, "the machine was loaded")]}

    page = report.render({"command": "make bench"}, {"chain": "A chain"}, rows, "## What limits\n")

    assert "| **12.3×** (4.00–6.00) | ≥ 10× | reached |" in page
    assert "|  | ≥ 10× | not measured: the machine was loaded |" in page
    assert page.rstrip().endswith("## What limits")


def test_the_picture_shows_what_has_a_figure_and_leaves_out_what_has_none():
    picture = plot.draw([row(12.3), row(None, "the machine was loaded")])

    assert picture.count("12.3×") == 1
    assert picture.count("chain | LangGraph") == 1


def test_no_line_of_the_page_runs_far_but_those_of_tables():
    long = Row("chain", "LangGraph", "×", 12.3, (4, 6), least(10), notes=("a word " * 60,))

    page = report.render({"command": "make bench " * 30}, {"chain": "A chain"}, {"chain": [long]}, "")

    assert [line for line in page.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_a_turn_that_the_machine_disturbed_is_taken_again(lab, monkeypatch):
    lab._patience = 0
    loads = iter([0.0, 0.0, 0.9, 0.0, 0.0, 0.0])
    monkeypatch.setattr("bench.machine.conditions", lambda: Conditions(busy=next(loads), loop_s=0.004))
    values = iter(range(1, 7))
    sides = [Side(name, "runs/s", lambda: float(next(values))) for name in ("a", "b")]

    taken = lab.take_turns(sides)

    assert taken["a"].values == [1, 5]
    assert taken["b"].values == [2, 6]


def test_where_the_machine_stays_loaded_the_readings_say_so(lab, monkeypatch):
    lab._patience = 2
    monkeypatch.setattr("bench.machine.conditions", lambda: Conditions(busy=0.9, loop_s=0.004))

    taken = lab.take_turns([Side("a", "s", lambda: 1.0), Side("b", "s", lambda: 1.0)])

    assert "loaded: others used 90%" in compare("work", taken["a"], taken["b"], turns=2).why
