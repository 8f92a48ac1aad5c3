"""The processes below this one, as Linux shows them, and waiting for what they do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path


def descendants(of: int | None = None) -> set[int]:
    """Every living process that this one (or `of`) has started, directly or not. The dead are not counted."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _parent(entry)) is not None:
            parents[int(entry.name)] = found
    below: set[int] = set()
    level = {of or os.getpid()}
    while level := {pid for pid, parent in parents.items() if parent in level}:
        below |= level
    return below


async def eventually(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Return as soon as `condition` holds; fail the test if it never does."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # processes set no events
            await asyncio.sleep(0.01)


def _parent(entry: Path) -> int | None:
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(parent)
