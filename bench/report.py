"""The results as people read them, and as programs do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.readings import Bound, Row, Series

INTRODUCTION = """# Results of the bench

Written by `make bench`; nobody edits it. Each line is one kind of work, done in turn by Rowel and by a peer
(A B A B) on this machine in this run; figures are medians of the turns, with the lowest and the highest behind them.
A ratio is the ratio of the medians, and its spread that of the turns' own ratios. After every turn it was checked that
the results are right; at the end the processes were killed with SIGKILL and the finished work counted in their
databases. Whoever waits for its turn is stopped. Where the work was not done, a peer was not there or the machine was
loaded, there is no ratio, and the line says why.

Durability is the same on both sides: SQLite with `synchronous=FULL`, read off the connections at work; Postgres with
`fsync=on` and `synchronous_commit=on`, the same server for both. LangGraph runs with `durability="sync"`. All drivers
in process run on uvloop.
"""


def render(
    facts: Mapping[str, str], titles: Mapping[str, str], results: Mapping[str, Sequence[Row]], limits: str
) -> str:
    """The page: the machine, a table for each case, and what still limits us."""
    parts = [INTRODUCTION, "## Where\n", *(_item(f"{name}: {said}") for name, said in facts.items()), ""]
    parts += ["![The ratios beside their floors](RESULTS.svg)\n"]
    for name, rows in results.items():
        parts += [f"## {titles[name]}\n", *_table(rows), "", *_notes(rows)]
    return "\n".join([*parts, limits]).rstrip() + "\n"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| work | Rowel | against | figure | floor | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        cells = [row.work, _series(row.ours), _against(row), _value(row), _bound(row.bound), verdict(row)]
        yield f"| {' | '.join(cells)} |"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    notes = dict.fromkeys(note for row in rows for note in row.notes)
    if notes:
        yield from map(_item, notes)
        yield ""


def _item(text: str) -> str:
    return "\n".join(
        textwrap.wrap(text, 118, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    )


def verdict(row: Row) -> str:
    if row.value is None:
        return f"not measured: {row.why}"
    return {True: "reached", False: "**missed**", None: ""}[row.holds]


def sentence(row: Row) -> str:
    """A line for the terminal."""
    sides = ", ".join(
        f"{side.name}: {number(side.median)} {side.unit}"
        for side in (row.ours, row.theirs)
        if side is not None and side.readings
    )
    said = _value(row) or "no figure"
    floor = f" (floor {_bound(row.bound)})" if row.bound else ""
    return f"{row.work} | {row.against}: {said}{floor} {verdict(row)} [{sides}]"


def figures(facts: Mapping[str, str], results: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """The same for programs: tests that compare the documentation's numbers read it."""
    return {
        "facts": dict(facts),
        "cases": {name: [_figure(row) for row in rows] for name, rows in results.items()},
    }


def _figure(row: Row) -> dict[str, Any]:
    return {
        "work": row.work,
        "against": row.against,
        "value": row.value,
        "unit": row.unit,
        "floor": row.bound.figure if row.bound else None,
        "is_least": row.bound.is_least if row.bound else None,
        "holds": row.holds,
        "why": row.why,
        "turns": {side.name: side.values for side in (row.ours, row.theirs) if side is not None},
    }


#: Between these two lines stand the figures of a page that quotes the results.
BEGIN, END = "<!-- figures of `make bench` -->", "<!-- end of the figures -->"


def quote(page: str, said: Mapping[str, Any]) -> str:
    """The page with the figures between its marks as `figures` said them. Raises `ValueError` where it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{_summary(said)}{END}{after}"


def _summary(said: Mapping[str, Any]) -> str:
    """A table of everything that has a floor: reached, missed and not measured alike."""
    rows = [row for rows in said["cases"].values() for row in rows if row["floor"] is not None]
    lines = ["| work | against | measured | to reach |", "|---|---|---|---|"]
    for row in rows:
        reached = {True: "", False: " (missed)", None: ""}[row["holds"]]
        measured = "not measured" if row["value"] is None else _with_unit(number(row["value"]), row["unit"])
        to_reach = f"{'≥' if row['is_least'] else '≤'} {_with_unit(format(row['floor'], 'g'), row['unit'])}"
        lines.append(f"| {row['work']} | {row['against']} | {measured}{reached} | {to_reach} |")
    return "\n".join(lines) + "\n"


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{unit}" if unit in {"×", "%"} else f"{text} {unit}"


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _series(series: Series | None) -> str:
    if series is None or not series.readings:
        return ""
    low, high = min(series.values), max(series.values)
    return f"{number(series.median)} {series.unit} ({number(low)}–{number(high)})"


def _against(row: Row) -> str:
    theirs = _series(row.theirs)
    return f"{row.against}: {theirs}" if theirs else row.against


def _value(row: Row) -> str:
    if row.value is None:
        return ""
    spread = f" ({number(row.spread[0])}–{number(row.spread[1])})" if row.spread and row.theirs else ""
    return f"**{_with_unit(number(row.value), row.unit)}**{spread}"


def _bound(bound: Bound | None) -> str:
    if bound is None:
        return ""
    return f"{'≥' if bound.is_least else '≤'} {_with_unit(format(bound.figure, 'g'), bound.unit)}"
