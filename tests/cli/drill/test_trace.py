"""The service that a drill's workflows call."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from rowel.cli.drill.trace import REFUSAL, Trace


@pytest.fixture
def trace() -> Iterator[Trace]:
    with Trace(seed=1, delay_s=0.0) as running:
        yield running


def call(trace: Trace, path: str, task_id: str) -> httpx.Response:
    return httpx.post(f"{trace.url}/{path}", headers={"Idempotency-Key": task_id}, trust_env=False)


def test_every_call_is_noted_with_its_task_and_gets_a_receipt_of_its_own(trace: Trace) -> None:
    receipts = [call(trace, "a", f"run.{node}").json()["receipt"] for node in "aab"]
    calls = list(trace.calls())
    assert [(call.task_id, call.receipt) for call in calls] == list(
        zip(["run.a", "run.a", "run.b"], receipts, strict=True)
    )
    assert len(set(receipts)) == 3
    assert trace.count == 3
    assert calls[0].run_id == "run"


def test_a_call_that_asks_for_it_is_refused_and_noted_all_the_same(trace: Trace) -> None:
    assert call(trace, "a?wish=refused", "run.a").status_code == REFUSAL
    assert call(trace, "a?wish=ok", "run.b").status_code == 200
    assert trace.count == 2


def test_an_answered_call_has_an_end(trace: Trace) -> None:
    call(trace, "a", "run.a")
    call(trace, "b", "run.b")
    first, _ = trace.calls()
    assert first.ended is not None
    assert first.ended >= first.begun


def test_who_is_gone_before_the_answer_was_here_all_the_same() -> None:
    with Trace(seed=1, delay_s=0.05) as trace:
        host, port = trace.address.split(":")
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(
                b"POST /a HTTP/1.1\r\nHost: x\r\nIdempotency-Key: run.a\r\nContent-Length: 0\r\n\r\n"
            )
        assert call(trace, "b", "run.b").status_code == 200
        assert {call.task_id for call in trace.calls()} >= {"run.b"}
