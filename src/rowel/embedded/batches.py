"""Batches in this process: how they stand, and changing how they go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowel.client import models
from rowel.embedded.rendering import standing_of
from rowel.engine.engine import Engine
from rowel.engine.workflows import KEEP


class Batches:
    """Batches, by the ids of their runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, run_id: str) -> models.Progress:
        """How a batch stands: counts, rate, cost, and why rows failed. Raises `NotFound` for a run that is none."""
        return standing_of(await self._engine.get_batch(run_id))

    async def change(
        self,
        run_id: str,
        *,
        mini_batch_size: int | None = None,
        failure_threshold: Mapping[str, Any] | None = None,
    ) -> models.Progress:
        """Change how many rows may be in flight and how many may fail; None stays as it is, `{}` lifts the threshold.

        Raises `Conflict` where the batch has ended.
        """
        threshold = KEEP if failure_threshold is None else failure_threshold or None
        standing = await self._engine.adjust_batch(
            run_id, mini_batch_size=mini_batch_size, failure_threshold=threshold
        )
        return standing_of(standing)
