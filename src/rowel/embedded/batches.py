"""Batches in this process: how they stand, changing how they go on, and deciding about many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rowel.client import models
from rowel.core.jsontext import dump, parse
from rowel.core.records import Answer
from rowel.core.status import PauseAction
from rowel.embedded.rendering import standing_of, verdict_of
from rowel.engine.engine import Engine
from rowel.engine.once import Once
from rowel.engine.rowdecisions import Verdict, Wish
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

    async def decide(  # noqa: PLR0913  # the words of a decision
        self,
        run_id: str,
        node_id: str,
        action: str,
        *,
        user_id: str,
        inputs: Mapping[str, Any] | None = None,
        comments: str | None = None,
        rows: Sequence[int] | None = None,
        except_rows: Sequence[int] | None = None,
        idempotency_key: str | None = None,
    ) -> models.RowDecisions:
        """One decision for many rows that wait at a node: all of them, or `rows`, without `except_rows`.

        Raises `Conflict` where no row waits there, and `InvalidForm` where the answer doesn't fit the form.
        """
        wish = Wish(
            node_id=node_id,
            action=PauseAction(action),
            inputs=inputs or {},
            user_id=user_id,
            comments=comments,
            rows=rows,
            except_rows=except_rows or (),
        )
        if idempotency_key is None:
            return verdict_of(await self._engine.decide_rows(run_id, wish))
        once = Once.of(
            ("embedded", "decide_rows", run_id), idempotency_key, asdict(wish), _written, in_steps=True
        )
        reply = await self._engine.do_once(
            once, lambda once: self._engine.decide_rows(run_id, wish, once=once)
        )
        return models.RowDecisions.from_wire(parse(reply.answer.text))


def _written(verdict: Verdict) -> Answer:
    return Answer(200, dump(asdict(verdict_of(verdict))))
