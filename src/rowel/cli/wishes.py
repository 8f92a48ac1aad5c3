"""What commands about batches take: rows, thresholds, columns."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from rowel.cli.exits import Exit, fail

#: Rows that one command may name.
MOST_ROWS = 1_000_000

AtATime = Annotated[
    int | None, typer.Option("--mini-batch-size", "-n", min=1, max=10_000, help="Rows in flight.")
]
FailAfter = Annotated[
    list[str] | None,
    typer.Option("--fail-after", help="End it FAILED past so many failed rows, as 20 or 5%; repeatable."),
]
JudgeAfter = Annotated[
    int | None, typer.Option("--judge-after", min=1, help="Judge the share once so many rows have ended.")
]


def read_threshold(given: list[str] | None, judge_after: int | None) -> dict[str, Any] | None:
    """{count, percent, after} from what --fail-after and --judge-after say; None where they say nothing."""
    found: dict[str, Any] = {}
    for text in given or []:
        number = re.fullmatch(r"(\d{1,9}|\d{1,3}\.\d{1,6})(%?)", text, re.ASCII)
        if number is None or ("." in number[1] and not number[2]):
            fail(
                f"--fail-after takes a number of rows such as 20, or a share such as 5%, not {text!r}",
                Exit.USAGE,
            )
        found["percent" if number[2] else "count"] = float(number[1]) if number[2] else int(number[1])
    if judge_after is not None:
        if "percent" not in found:
            fail("--judge-after is about a share: give one, as --fail-after 5%", Exit.USAGE)
        found["after"] = judge_after
    return found or None


def read_columns(given: list[str] | None) -> dict[str, str] | None:
    """{field: column} from `field=column`; None where nothing is given."""
    found = {}
    for text in given or []:
        name, sign, column = text.partition("=")
        if not (name and sign and column):
            fail(f"--map takes FIELD=COLUMN, not {text!r}", Exit.USAGE)
        found[name] = column
    return found or None


def read_rows(text: str, option: str) -> list[int]:
    """Row numbers from `3,7-9`."""
    rows: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part, re.ASCII)
        first, last = (0, -1) if found is None else (int(found[1]), int(found[2] or found[1]))
        if last < first:
            fail(f"{option} takes row numbers from 0, such as 3,7-9, not {text[:100]!r}", Exit.USAGE)
        if len(rows) + last - first >= MOST_ROWS:
            fail(f"{option} names more than {MOST_ROWS:,} rows", Exit.USAGE)
        rows += range(first, last + 1)
    return rows
