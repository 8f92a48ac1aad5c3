"""A server and a worker, looked into from outside."""

from __future__ import annotations

from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.cluster import Cluster
from tests.support.flows import flow, given, static
from tests.support.receiver import Receiver
from tests.support.server import free_port

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def names(text: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_a_worker_shows_its_metrics_and_goes_on_with_the_trace_that_the_server_began(
    tmp_path: Path, postgres_url: str
) -> None:
    receiver, port = Receiver(), free_port()
    environment = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "ROWEL_LOG_FORMAT": "json",
    }
    try:
        with Cluster(tmp_path / "data", postgres_url, environment) as cluster:
            worker, server = cluster.add_worker("--metrics-port", str(port)), cluster.server
            workflow_id = server.create(flow("start>said", start=given(), said=static(a=1)))
            run = server.http.post(f"/wf/{workflow_id}/start_run/", json={}, headers={"traceparent": CALLER})
            server.wait_for(run.json()["id"], "COMPLETED")
            of_worker = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
            of_server = server.http.get("/metrics").text
            assert (worker.terminate(), server.terminate()) == (0, 0)
    finally:
        receiver.close()
    spans = receiver.spans()

    assert "rowel_task_seconds_count" in names(of_worker) - names(of_server)
    assert {"rowel_queue_depth", "rowel_runs_open"} <= names(of_server) - names(of_worker)
    assert [link.trace_id for link in spans["start run"].links] == [spans["run"].trace_id]
    assert spans["start run"].parent_span_id.hex() == CALLER.split("-")[2]
    assert spans["StaticValueNode said"].parent_span_id == spans["run"].span_id
