"""One row of a dataset, and how much of it there may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 10_000_000
MAX_COLUMNS = 4_096
#: Characters of one field; of one that is no text, as JSON.
MAX_FIELD = 1024 * 1024
#: Bytes of one row.
MAX_ROW = 64 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """A row's number, from 0, its values by column, and about how many bytes it takes."""

    index: int
    values: Mapping[str, Any]
    size: int = 0


def count(number: int, noun: str) -> str:
    """ "1 cell", "2,000 cells"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
