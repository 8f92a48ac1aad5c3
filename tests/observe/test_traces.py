"""Traces, as a real OTLP/HTTP receiver gets them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from rowel.api.http import create_api
from rowel.api.options import Options
from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Usage
from rowel.core.status import PauseAction
from rowel.engine.compose import build_engine
from rowel.engine.engine import Engine
from rowel.nodes.context import Answer, Response
from rowel.observe.metrics import Metrics
from rowel.observe.traces import Traces
from tests.support.contexts import make_services
from tests.support.flows import flow, given, human, of_type, static
from tests.support.house import rested, save
from tests.support.receiver import Receiver

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


class World:
    """A provider and a site, which remember the headers of calls."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []

    async def request(self, *_: Any, headers: dict[str, str], **__: Any) -> Response:
        self.headers.append(headers)
        if len(self.headers) == 1:
            raise NodeFailed("not yet", retryable=True)
        return Response(200, {}, b"{}")

    async def ask(self, model: str, *_: Any, **__: Any) -> Answer:
        return Answer("yes", Usage(10, 3, 0.5, 1), model)


def opened(data: Path, traces: Traces, world: World) -> Engine:
    return build_engine(data, services=make_services(http=world, llm=world), observer=traces)


def attributes(span: Span) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "") for pair in span.attributes}


CALLS = flow(
    "start>call call>say",
    start=given(),
    call=of_type("HTTPRequestNode", url="http://x/", retry={"attempts": 2, "backoff_s": 0.001}),
    say=of_type("SingleLLMCallNode", llm_info={"model": "openai/gpt-4o"}, user_message="a secret"),
)


async def test_a_run_is_a_trace_and_its_tasks_and_calls_are_spans(tmp_path: Path, receiver: Receiver) -> None:
    traces, world = Traces(OTLPSpanExporter(receiver.url)), World()
    engine = opened(tmp_path / "data", traces, world)
    await engine.open()
    options = Options(watcher=Metrics())
    transport = httpx.ASGITransport(app=create_api(engine, options))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        answer = await http.post(
            f"/wf/{await save(engine, CALLS)}/run/", json={}, headers={"traceparent": CALLER}
        )
    await engine.close()
    traces.close()
    assert answer.status_code == 200, answer.text
    spans = receiver.spans()
    run, call, chat, start = (
        spans[name] for name in ("run", "HTTPRequestNode call", "chat openai/gpt-4o", "start run")
    )

    assert {span.trace_id for name, span in spans.items() if name != "start run"} == {run.trace_id}
    assert call.parent_span_id == spans["InputNode start"].parent_span_id == run.span_id
    assert chat.parent_span_id == spans["SingleLLMCallNode say"].span_id
    assert run.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
    assert attributes(run)["rowel.status"] == "COMPLETED"
    assert attributes(call)["rowel.attempt"] == 2
    assert attributes(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai/gpt-4o",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "rowel.cost_usd": 0.5,
    }
    assert (start.trace_id.hex(), start.parent_span_id.hex()) == tuple(CALLER.split("-")[1:3])
    assert [(link.trace_id, link.span_id) for link in start.links] == [(run.trace_id, run.span_id)]
    told = [headers["traceparent"].split("-") for headers in world.headers]
    assert [parts[1] for parts in told] == [run.trace_id.hex()] * 2
    assert told[0][2] != told[1][2] == call.span_id.hex()
    assert b"secret" not in b"".join(request.SerializeToString() for request in receiver.requests)


async def test_whoever_takes_a_run_over_continues_its_trace(tmp_path: Path, receiver: Receiver) -> None:
    asks = flow("start>ask ask>paid", start=given(), ask=human(message="?"), paid=static(paid=True))
    run_id = ""
    for is_first in (True, False):
        traces = Traces(OTLPSpanExporter(receiver.url))
        engine = opened(tmp_path / "data", traces, World())
        await engine.open()
        if is_first:
            run_id = (await engine.run(await save(engine, asks), {})).run.id
        else:
            await engine.decide(run_id, PauseAction.APPROVE, {}, "ada")
            await rested(engine, run_id)
        await engine.close()
        traces.close()
    spans = receiver.spans()

    assert len(receiver.requests) == 2
    assert len({span.trace_id for span in spans.values()}) == 1
    assert spans["InputNode start"].parent_span_id == spans["run"].span_id
    assert spans["StaticValueNode paid"].parent_span_id == spans["run"].span_id


def test_without_an_endpoint_no_library_of_traces_or_metrics_is_loaded() -> None:
    code = (
        "import sys; from rowel.observe.looking import Looking; Looking(); import rowel.app;"
        "print([m for m in ('opentelemetry.sdk', 'prometheus_client', 'structlog') if m in sys.modules])"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)

    assert done.stdout == "[]\n"
