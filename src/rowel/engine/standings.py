"""How a batch stands: its counts, how fast it moves, what it cost and why rows failed. Nothing here scans rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from rowel.core.errors import NotFound
from rowel.core.rates import Sample, rows_per_s, seconds_left
from rowel.core.records import Batch, Cause, Event, Run
from rowel.core.status import EventKind, RunStatus
from rowel.engine.house import House
from rowel.engine.reads import missing
from rowel.store import causes, events, runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: The most causes that are told, and the most groups of events that the rate is taken from.
MOST_CAUSES = 100
MOST_GROUPS = 200
#: A batch that has never rested was told to be PENDING and RUNNING.
FIRST_EVENTS = 2


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A batch at one moment. Its counts add up to its total."""

    run: Run
    batch: Batch
    causes: Sequence[Cause]
    #: Rows that ended in a second lately, of an ended batch on average; None while it rests.
    rows_per_s: float | None
    #: Seconds until the last row is expected to end.
    eta_s: float | None

    @property
    def tokens(self) -> int:
        return self.batch.input_tokens + self.batch.output_tokens

    @property
    def cost_usd(self) -> float | None:
        """US dollars; None where tokens were spent that have no known price."""
        return self.batch.cost_nano / 1e9 if self.batch.cost_nano or not self.tokens else None


async def standing_of(house: House, run_id: str) -> Standing:
    """How a batch stands. Raises `NotFound`, also for a run that is no batch."""
    found = await house.database.read(lambda connection: _read(connection, run_id))
    run, batch, told, why = found
    now = house.now()
    rate = _rate(run, batch, told, now)
    left = 0.0 if run.status.is_final else seconds_left(batch.queued + batch.running, rate)
    return Standing(run=run, batch=batch, causes=why, rows_per_s=rate, eta_s=left)


async def find_batch(house: House, run_id: str) -> tuple[Run, Batch]:
    """A batch's run and its record. Raises `NotFound`, also for a run that is no batch."""
    return await house.database.read(lambda connection: _find(connection, run_id))


def _find(connection: Connection, run_id: str) -> tuple[Run, Batch]:
    run, batch = runs.get(connection, run_id), runs.get_batch(connection, run_id)
    if run is None:
        raise missing(run_id)
    if batch is None:
        raise NotFound(f"Run {run_id} is no batch.")
    # A row that began while its batch ended is about to be canceled; it is counted already.
    left = batch.total - batch.settled - batch.paused
    return run, replace(batch, running=max(0, min(batch.running, left)))


def _read(connection: Connection, run_id: str) -> tuple[Run, Batch, list[Event], list[Cause]]:
    run, batch = _find(connection, run_id)
    told = [] if run.status.is_final else events.latest(connection, run_id, MOST_GROUPS)
    return run, batch, told, causes.most_frequent(connection, run_id, MOST_CAUSES)


def _rate(run: Run, batch: Batch, told: Sequence[Event], now: datetime) -> float | None:
    if run.end_time is not None:
        return rows_per_s([Sample(run.start_time, 0)], Sample(run.end_time, batch.completed + batch.failed))
    if run.status is not RunStatus.RUNNING:
        return None
    return rows_per_s(_samples(run, told), Sample(now, batch.settled))


def _samples(run: Run, told: Sequence[Event]) -> list[Sample]:
    """What batch events said since the batch last began to move; events and samples are the newest first."""
    samples = []
    for event in told:
        if event.kind == EventKind.RUN and event.number <= FIRST_EVENTS:
            samples.append(Sample(run.start_time, 0))
        if event.kind == EventKind.RUN:
            break
        if event.kind == EventKind.BATCH and "time" in event.body:
            ended = (event.body[name] for name in ("completed", "failed", "canceled"))
            samples.append(Sample(datetime.fromisoformat(event.body["time"]), sum(ended)))
    return samples
