"""Traces by OpenTelemetry: a run is a trace, a task a span, a call of a model a span in it.

Ids follow from those of runs and tasks, so that whoever takes a run over continues its trace and nothing is stored.
Importing this loads the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import INVALID_SPAN

from rowel.core.outcomes import Usage
from rowel.core.records import Run, Task
from rowel.core.status import EventKind, RunStatus, TaskStatus
from rowel.engine.clock import Clock, SystemClock
from rowel.engine.ids import new_id
from rowel.engine.observer import CALLER, PLACE, Told
from rowel.engine.programs import Program
from rowel.nodes.context import Services
from rowel.observe.http import WatchedHTTP
from rowel.observe.metrics import node_type
from rowel.observe.models import WatchedModels

SCOPE = InstrumentationScope("rowel")
FAILED = Status(StatusCode.ERROR)
Attributes = Mapping[str, str | int | float]


class Traces:
    """Implements `Observer` by sending spans to where the `OTEL_...` variables say."""

    def __init__(
        self,
        exporter: SpanExporter | None = None,
        *,
        sampler: Sampler = ALWAYS_ON,
        clock: Clock | None = None,
    ) -> None:
        """Raises `ValueError` where the variables can't be meant."""
        self._spans = BatchSpanProcessor(exporter or OTLPSpanExporter())
        self._resource = Resource.create({"service.name": "rowel"})
        self._sampler = sampler
        self._clock = clock or SystemClock()

    def landed(self, run: Run, tasks: Sequence[Task], told: Told, program: Program) -> None:
        for task in tasks:
            if task.start_time is not None and (
                task.status.is_final or (task.status is TaskStatus.PENDING and task.error is not None)
            ):
                self._send_task(run, task, node_type(program, task))
        if run.owner_id is None and _says(told, RunStatus.RUNNING) and run.seq == len(told):
            self._send_start(run.id)
        if run.status.is_final:
            self._send_run(run.id, run.start_time, run.end_time or self._clock.now(), run.status)

    def told(self, run_id: str, told: Told) -> None:
        if _says(told, RunStatus.PENDING):
            self._send_start(run_id)
        ended = next((status for status in RunStatus if status.is_final and _says(told, status)), None)
        if ended is not None:
            self._send_run(run_id, _began(run_id), self._clock.now(), ended)

    def taken_up(self, run_id: str) -> None:
        return

    def committed(self, seconds: float, groups: int) -> None:
        return

    def watch(self, services: Services) -> Services:
        return replace(
            services,
            llm=WatchedModels(services.llm, self._model_called),
            http=WatchedHTTP(services.http, self.headers),
        )

    def headers(self) -> Mapping[str, str]:
        """What an outgoing call says about the task at hand."""
        place, headers = PLACE.get(), dict[str, str]()
        if place is not None and place.task_id:
            span = api.NonRecordingSpan(self._at_task(place.run_id, place.task_id, place.attempt))
            TraceContextTextMapPropagator().inject(headers, api.set_span_in_context(span))
        return headers

    def close(self) -> None:
        """Send what is left."""
        self._spans.shutdown()  # type: ignore[no-untyped-call]  # theirs

    def _send_task(self, run: Run, task: Task, type_: str) -> None:
        assert task.start_time is not None
        attributes: dict[str, str | int | float] = {
            "rowel.run_id": run.id,
            "rowel.task_id": task.id,
            "rowel.node_id": task.node_id,
            "rowel.node_type": type_,
            "rowel.attempt": task.attempt,
            "rowel.status": task.status.value,
        }
        parent = self._at_run(run.id)
        self._send(
            f"{type_} {task.node_id}",
            self._at_task(run.id, task.id, task.attempt),
            parent,
            (task.start_time, task.end_time or self._clock.now()),
            attributes,
            status=FAILED if task.error is not None else Status(),
        )

    def _send_run(self, run_id: str, start: datetime, end: datetime, status: RunStatus) -> None:
        failed = FAILED if status is RunStatus.FAILED else Status()
        attributes = {"rowel.run_id": run_id, "rowel.status": status.value}
        self._send("run", self._at_run(run_id), None, (start, end), attributes, status=failed)

    def _send_start(self, run_id: str) -> None:
        """In the trace of whoever asked for the run: a span that leads to the run's own."""
        carrier = {"traceparent": CALLER.get()}
        caller = api.get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
        if caller == INVALID_SPAN.get_span_context():
            return
        now = self._clock.now()
        own = SpanContext(caller.trace_id, _number(f"start {run_id}", 8), False, caller.trace_flags)
        links = [Link(self._at_run(run_id))]
        self._send("start run", own, caller, (now, now), {"rowel.run_id": run_id}, links=links)

    def _model_called(self, model: str, seconds: float, usage: Usage | None) -> None:
        place = PLACE.get()
        if place is None or not place.task_id:
            return
        end = self._clock.now()
        attributes: dict[str, str | int | float] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": model.partition("/")[0] if "/" in model else "openai",
            "gen_ai.request.model": model,
        }
        if usage is not None:
            attributes["gen_ai.usage.input_tokens"] = usage.input_tokens
            attributes["gen_ai.usage.output_tokens"] = usage.output_tokens
        if usage is not None and usage.cost_usd is not None:
            attributes["rowel.cost_usd"] = usage.cost_usd
        self._send(
            f"chat {model}",
            self._context(place.run_id, _number(new_id(), 8)),
            self._at_task(place.run_id, place.task_id, place.attempt),
            (end - timedelta(seconds=seconds), end),
            attributes,
            kind=SpanKind.CLIENT,
            status=FAILED if usage is None else Status(),
        )

    def _at_run(self, run_id: str) -> SpanContext:
        return self._context(run_id, _number(f"run {run_id}", 8))

    def _at_task(self, run_id: str, task_id: str, attempt: int) -> SpanContext:
        return self._context(run_id, _number(f"task {task_id} {attempt}", 8))

    def _context(self, run_id: str, span_id: int) -> SpanContext:
        trace_id = _number(run_id, 16)
        is_sampled = self._sampler.should_sample(None, trace_id, "run").decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
        return SpanContext(trace_id, span_id, False, flags)

    def _send(  # noqa: PLR0913  # what a span is made of
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times: tuple[datetime, datetime],
        attributes: Attributes,
        *,
        links: Sequence[Link] = (),
        kind: SpanKind = SpanKind.INTERNAL,
        status: Status = Status(),  # noqa: B008  # never changed
    ) -> None:
        start, end = (int(time.timestamp() * 1_000_000) * 1000 for time in times)
        self._spans.on_end(
            ReadableSpan(
                name,
                context=context,
                parent=parent,
                resource=self._resource,
                attributes=attributes,
                links=links,
                kind=kind,
                status=status,
                start_time=start,
                end_time=max(start, end),
                instrumentation_scope=SCOPE,
            )
        )


def _says(told: Told, status: RunStatus) -> bool:
    return any(kind is EventKind.RUN and body["status"] == status for kind, body in told)


def _number(text: str, size: int) -> int:
    """An id of so many bytes; never 0, which would be none."""
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest()) or 1


def _began(run_id: str) -> datetime:
    """When a run began, which its id says (UUIDv7)."""
    return datetime.fromtimestamp((UUID(run_id).int >> 80) / 1000, UTC)
