"""The ratios as a picture: how many times its floor each line reaches, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from bench.readings import Row
from bench.report import number

LEFT, RIGHT, TOP, LINE = 720, 90, 46, 24
WIDTH = 1340
#: Times the floor at the edges of the picture.
LEAST, MOST = 0.25, 16.0


def draw(rows: Sequence[Row]) -> str:
    """An SVG of every line that has a floor and a figure."""
    shown = [row for row in rows if row.bound is not None and row.value is not None]
    height = TOP + LINE * len(shown) + 30
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            'font-size="12">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            '<text x="12" y="20" font-size="15" fill="#1a1a1a">How far each line is past its floor '
            "(right of the line at 1: reached)</text>",
            *_grid(height),
            *(part for place, row in enumerate(shown) for part in _bar(row, TOP + LINE * place)),
            "</svg>\n",
        ]
    )


def reach(row: Row) -> float:
    """How many times its floor a line reaches: above 1 is reached, whichever way the floor looks."""
    assert row.bound is not None
    assert row.value is not None
    if row.bound.is_least:
        return row.value / row.bound.figure
    return row.bound.figure / max(row.value, 1e-9)


def _x(times: float) -> float:
    share = math.log(min(max(times, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _grid(height: int) -> Iterator[str]:
    for times in (0.25, 0.5, 1, 2, 4, 8, 16):
        x, color = _x(times), "#1a1a1a" if times == 1 else "#dddddd"
        yield f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 8}" y2="{height - 24}" stroke="{color}"/>'
        yield f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle" fill="#555555">{times:g}×</text>'


def _bar(row: Row, y: int) -> Iterator[str]:
    one, end = _x(1), _x(reach(row))
    color = "#1f7a4d" if row.holds else "#b3261e"
    label = f"{row.work} | {row.against}"
    short = label if len(label) <= 112 else f"{label[:111]}…"
    yield f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end" fill="#1a1a1a">{escape(short)}</text>'
    yield f'<rect x="{min(one, end):.0f}" y="{y + 3}" width="{abs(end - one):.0f}" height="14" fill="{color}"/>'
    assert row.value is not None
    text = f"{number(row.value)}{'' if row.unit in {'×', '%'} else ' '}{row.unit}"
    yield f'<text x="{max(one, end) + 6:.0f}" y="{y + 14}" fill="{color}">{escape(text)}</text>'
