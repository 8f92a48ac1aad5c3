"""One row of a dataset, and how much of it there may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 10_000_000
MAX_COLUMNS = 4_096
#: Bytes (characters, in CSV) of one field.
MAX_FIELD = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """A row's number, from 0, and its values by column."""

    index: int
    values: Mapping[str, Any]
