"""The readme quotes the bench, and nothing else."""

from __future__ import annotations

import json

import pytest
from bench import report
from bench.readings import Conditions, Reading, Row, Series, least, most

from tests.support.source import ROOT

RESULTS = ROOT / "bench" / "RESULTS.json"
README = ROOT / "README.md"
QUIET = Conditions(busy=0.0, loop_s=0.004)
PAGE = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"


def said(*rows: Row) -> dict:
    return report.figures({"command": "make bench"}, {"chain": rows})


def row(value: float | None, **more) -> Row:
    ours = Series("Rowel", "runs/s", (Reading(100, QUIET),))
    return Row("chain", "LangGraph", "×", value, bound=least(10), ours=ours, **more)


def test_a_page_quotes_what_has_a_floor_reached_or_not():
    rows = [row(12.34), row(8.0), row(None, why="the machine was loaded"), Row("other", "x", "×", 3.0)]

    quoted = report.quote(PAGE, said(*rows)).splitlines()

    assert quoted[0] == "before"
    assert quoted[-1] == "after"
    assert quoted[4:-2] == [
        "| chain | LangGraph | 12.3× | ≥ 10× |",
        "| chain | LangGraph | 8.00× (missed) | ≥ 10× |",
        "| chain | LangGraph | not measured | ≥ 10× |",
    ]


def test_a_bound_from_above_is_quoted_as_one():
    weight = Row("idle memory", "alone", "MB", 90.0, bound=most(120, "MB"))

    assert "| idle memory | alone | 90.0 MB | ≤ 120 MB |" in report.quote(PAGE, said(weight))


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="no lines"):
        report.quote("a page", said(row(12.0)))


def test_the_readme_has_a_place_for_the_figures_and_shows_those_of_the_results():
    page = README.read_text()

    if RESULTS.exists():
        assert report.quote(page, json.loads(RESULTS.read_text())) == page
    else:
        assert f"{report.BEGIN}\n{report.END}" in page
