"""What lies in the databases once their processes were killed: the work counts only where it is there."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from bench.readings import NotDone

#: How many finished runs each one's database shows.
ROWEL = "SELECT count(*) FROM runs WHERE status = 'COMPLETED'"
DBOS = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'"
LANGGRAPH = "SELECT count(DISTINCT thread_id) FROM checkpoints WHERE json_extract(CAST(metadata AS TEXT), '$.step') = 5"
PYSPUR = "SELECT count(*) FROM runs WHERE status = 'COMPLETED'"

#: SQLite's number for synchronous=FULL; EXTRA is more.
FULL = 2


def count(path: Path, query: str) -> int:
    """What a query counts in a SQLite file."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


def check(path: Path, query: str, told: int) -> None:
    """Raise `NotDone` where fewer runs are in the file than were said to be finished."""
    found = count(path, query)
    if found < told:
        raise NotDone(f"{told} runs were said to be finished and {found} are in the database")


def check_settings(said: dict[str, Any]) -> None:
    """Raise `NotDone` unless every SQLite connection waits for the disk at each commit."""
    values = said.get("synchronous") or []
    if not values or min(values) < FULL:
        raise NotDone(f"its connections say synchronous={values}, not FULL")


def check_lines(said: dict[str, Any], rows: int) -> None:
    """Raise `NotDone` unless a batch's output had a line for every row, right or wrong."""
    lines = said["done"] + said["wrong"]
    if lines != rows:
        raise NotDone(f"the output file has {lines} lines for {rows} rows")
