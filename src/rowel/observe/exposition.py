"""What Prometheus reads. Its library is loaded when it first asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rowel.core.errors import Unavailable
from rowel.engine.observer import Waiting
from rowel.observe.metrics import Metrics
from rowel.observe.tallies import Spread, Tally

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

#: Up to which what is open is counted, and seconds for which a count is good enough.
MOST_COUNTED = 10_000
COUNT_EACH_S = 5.0

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Name, meaning, labels; what is not a gauge lives in `Metrics` under the word behind it.
TALLIES = (
    ("rowel_run_changes", "Runs that came to have this status", ("status",), "runs"),
    ("rowel_runs_taken_up", "Runs that had begun and were taken over from the store", (), "recoveries"),
    ("rowel_pauses", "Pauses that were opened and answered", ("change",), "pauses"),
    ("rowel_task_retries", "Attempts that failed and are followed by another", ("node_type",), "retries"),
    ("rowel_model_calls", "Calls of models that have ended", ("model", "outcome"), "model_calls"),
    ("rowel_model_tokens", "Tokens that models took and gave", ("model", "direction"), "tokens"),
    ("rowel_model_cost_dollars", "What models cost, where a price is known", ("model",), "dollars"),
    ("rowel_http_requests", "Requests that were answered", ("method", "route", "status"), "requests"),
)
SPREADS = (
    ("rowel_task_seconds", "Last attempts of tasks", ("node_type", "status"), "tasks"),
    ("rowel_model_seconds", "Calls of models, with their waiting", ("model",), "model_seconds"),
    ("rowel_commit_seconds", "Transactions of the writer", (), "commits"),
    ("rowel_commit_groups", "Groups in one transaction", (), "groups"),
    ("rowel_http_request_seconds", "Until an answer begins", ("method", "route"), "request_seconds"),
)
RUNS_OPEN = ("rowel_runs_open", "Open runs by status, of 10000 at most", ("status",))
GAUGES = (
    ("rowel_queue_depth", "Runs that wait for a slot or a worker", "queued"),
    ("rowel_runs_moving", "Runs that move in this process", "moving"),
    ("rowel_event_streams", "Streams of events that are followed here", "listeners"),
    ("rowel_pauses_open", "Pauses that wait for an answer, 10000 at most", "open_pauses"),
)
STORE_UP = ("rowel_store_readable", "1 while what is open could be counted, else 0")


class Exposition:
    """Answers Prometheus for one process."""

    def __init__(self, metrics: Metrics, count: Callable[[int], Awaitable[Waiting]] | None) -> None:
        """`count` counts what waits; None: another process of this database does."""
        self._metrics = metrics
        self._count = count
        self._counted: Waiting | None = None
        self._counted_at = float("-inf")
        self._counting = asyncio.Lock()

    async def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        waiting = None if self._count is None else await self._look(self._count)
        return await asyncio.to_thread(self._render, waiting)

    async def _look(self, count: Callable[[int], Awaitable[Waiting]]) -> Waiting | None:
        async with self._counting:
            if time.monotonic() - self._counted_at > COUNT_EACH_S:
                try:
                    self._counted = await count(MOST_COUNTED)
                except Unavailable:
                    self._counted = None
                self._counted_at = time.monotonic()
        return self._counted

    def _render(self, waiting: Waiting | None) -> bytes:
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        families = [*self._families(), *(self._gauges(waiting) if self._count is not None else ())]
        registry.register(_Families(families))
        return generate_latest(registry)

    def _families(self) -> Iterable[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

        for name, meaning, labels, place in TALLIES:
            tally: Tally = getattr(self._metrics, place)
            counter = CounterMetricFamily(name, meaning, labels=labels)
            for values, amount in tally.read() or ([((), 0.0)] if not labels else []):
                counter.add_metric(values, amount)
            yield counter
        for name, meaning, labels, place in SPREADS:
            spread: Spread = getattr(self._metrics, place)
            histogram = HistogramMetricFamily(name, meaning, labels=labels)
            for values, buckets, total in spread.read():
                histogram.add_metric(values, buckets, total)
            yield histogram

    def _gauges(self, waiting: Waiting | None) -> Iterable[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        yield GaugeMetricFamily(*STORE_UP, value=float(waiting is not None))
        if waiting is None:
            return
        for name, meaning, field in GAUGES:
            yield GaugeMetricFamily(name, meaning, value=getattr(waiting, field))
        name, meaning, labels = RUNS_OPEN
        by_status = GaugeMetricFamily(name, meaning, labels=labels)
        for status in ("PENDING", "RUNNING", "PAUSED"):
            by_status.add_metric([status], waiting.open_runs.get(status, 0))
        yield by_status


class _Families:
    """A collector of what is there already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def metric_names() -> set[str]:
    """The names of all metrics of ours, as Prometheus keeps their samples."""
    counters = {f"{name}_total" for name, *_ in TALLIES}
    histograms = {f"{name}_{part}" for name, *_ in SPREADS for part in ("bucket", "count", "sum")}
    return counters | histograms | {name for name, *_ in (*GAUGES, RUNS_OPEN, STORE_UP)}
