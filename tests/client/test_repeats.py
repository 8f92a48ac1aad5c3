"""Calls with an idempotency key: sent again where that may help, and done once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rowel import AsyncClient, Client, Rowel
from rowel.client import Conflict, ConnectionLost, InProgress, InvalidRequest, RunPaused, ServerBusy
from rowel.client.batches import AsyncBatches, Batches
from rowel.client.waiting import PROGRESS_EACH_S, pauses
from rowel.embedded.batches import Batches as EmbeddedBatches
from tests.support.server import Server
from tests.support.workflows import ASKS, HALVES

RUN = {"id": "r", "workflow_id": "w", "status": "PENDING", "start_time": "2026-01-02T03:04:05+00:00"}
INPUTS = {"input_node": {"n": 4}}


def refuses(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": "No.", "code": code})


IN_PROGRESS = (409, "in_progress")


class Script:
    """A server that gives its answers one after another, the last one for ever, and keeps the keys it saw."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.keys: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("idempotency-key"))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_of(script: Script) -> Client:
    return Client("http://rowel.test", transport=httpx.MockTransport(script))


def done(body: Any = None) -> httpx.Response:
    return httpx.Response(200, json={**RUN, "decided": 1} if body is None else body)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which took any time."""
    made: list[float] = []
    monkeypatch.setattr("rowel.client.blocking.time.sleep", made.append)
    return made


CALLS: dict[str, Callable[[Client], Any]] = {
    "run": lambda client: client.run("w", INPUTS, idempotency_key="k"),
    "start": lambda client: client.start("w", INPUTS, idempotency_key="k"),
    "run_partial": lambda client: client.run_partial("w", "a", idempotency_key="k"),
    "batch": lambda client: client.batch("w", "dataset", idempotency_key="k"),
    "rerun": lambda client: client.rerun("r", idempotency_key="k"),
    "decide": lambda client: client.decide("r", "APPROVE", user_id="ann", idempotency_key="k"),
    "decide rows": lambda client: client.batches.decide(
        "r", "ask", "APPROVE", user_id="ann", idempotency_key="k"
    ),
    "live decide": lambda client: client.attach("r").decide("APPROVE", user_id="ann", idempotency_key="k"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with_a_key_is_sent_again_where_the_server_was_away_or_busy(
    slept: list[float], name: str
) -> None:
    troubles = [httpx.ReadError("reset"), refuses(503, "unavailable"), httpx.ConnectError("refused")]
    first = [done()] if name == "live decide" else []
    script = Script(*first, *troubles, refuses(429, "busy"), httpx.Response(502, text="Bad"), done())

    CALLS[name](client_of(script))

    assert [key for key in script.keys if key] == ["k"] * 6
    assert slept == list(pauses())[:5]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [(httpx.ReadError("reset"), ConnectionLost), (refuses(503, "unavailable"), ServerBusy)],
)
def test_a_call_without_a_key_is_sent_once(
    slept: list[float], trouble: httpx.Response | Exception, error: type[Exception]
) -> None:
    script = Script(trouble, done())

    with pytest.raises(error):
        client_of(script).start("w", INPUTS)

    assert (script.keys, slept) == ([None], [])


@pytest.mark.parametrize(
    ("answer", "error"),
    [(refuses(409, "key_reused"), Conflict), (refuses(422, "invalid_request"), InvalidRequest)],
)
def test_what_no_second_try_helps_is_raised_at_once(
    slept: list[float], answer: httpx.Response, error: type[Exception]
) -> None:
    with pytest.raises(error):
        client_of(Script(answer)).start("w", INPUTS, idempotency_key="k")

    assert slept == []


def test_a_server_that_stays_away_is_given_up(slept: list[float]) -> None:
    with pytest.raises(ConnectionLost):
        client_of(Script(httpx.ConnectError("refused"))).start("w", INPUTS, idempotency_key="k")

    assert slept == list(pauses())


def test_while_the_first_call_is_worked_on_the_answer_is_asked_for_each_second(slept: list[float]) -> None:
    script = Script(*[refuses(*IN_PROGRESS)] * 100, done({"a": {"n": 1}}))

    assert client_of(script).run("w", INPUTS, idempotency_key="k") == {"a": {"n": 1}}
    assert slept == [PROGRESS_EACH_S] * 100


def test_who_has_a_limit_stops_asking_when_it_is_over(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowel.client.blocking.time.monotonic", lambda: sum(slept))

    with pytest.raises(InProgress):
        client_of(Script(refuses(*IN_PROGRESS))).run("w", INPUTS, timeout=2.5, idempotency_key="k")

    assert slept == [1.0, 1.0, 0.5]


@pytest.mark.parametrize("key", ["", "é", "a\nb", "x" * 256])
def test_a_key_that_no_server_takes_is_not_sent(key: str) -> None:
    script = Script(done())

    with pytest.raises(ValueError, match="1 to 255 printable ASCII"):
        client_of(script).start("w", INPUTS, idempotency_key=key)

    assert script.keys == []


async def test_a_batch_over_a_file_takes_no_key(tmp_path: Any) -> None:
    script = Script(done())

    with pytest.raises(ValueError, match="by its id"):
        client_of(script).batch("w", "rows.csv", idempotency_key="k")
    async with AsyncClient("http://rowel.test", transport=httpx.MockTransport(script)) as client:
        with pytest.raises(ValueError, match="by its id"):
            await client.batch("w", "rows.csv", idempotency_key="k")
    async with Rowel(tmp_path / "data", environment={}) as rowel:
        with pytest.raises(ValueError, match="by its id"):
            await rowel.batch("w", "rows.csv", idempotency_key="k")

    assert script.keys == []


@pytest.mark.parametrize("kind", [Client, AsyncClient, Rowel])
def test_all_that_start_or_decide_take_a_key(kind: type) -> None:
    for name in ("run", "start", "run_partial", "batch", "rerun", "redrive", "decide"):
        assert "idempotency_key" in inspect.signature(getattr(kind, name)).parameters, name


@pytest.mark.parametrize("kind", [Batches, AsyncBatches, EmbeddedBatches])
def test_a_decision_about_rows_takes_a_key(kind: type) -> None:
    assert "idempotency_key" in inspect.signature(kind.decide).parameters  # type: ignore[attr-defined]  # all have it


# Against a real server


async def test_the_async_client_waits_for_a_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []

    async def note(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("rowel.client.asynchronous.asyncio.sleep", note)
    script = Script(httpx.ReadError("reset"), refuses(*IN_PROGRESS), done())
    async with AsyncClient("http://rowel.test", transport=httpx.MockTransport(script)) as client:
        assert (await client.start("w", INPUTS, idempotency_key="k")).id == "r"

    assert (script.keys, made) == (["k"] * 3, [0.1, PROGRESS_EACH_S])


def test_a_run_is_started_once_and_told_again(client: Client, server: Server) -> None:
    workflow = client.workflows.create("halves", HALVES)

    runs = {client.start(workflow.id, INPUTS, idempotency_key="k").id for _ in range(3)}
    outputs = [client.run(workflow.id, INPUTS, idempotency_key="k") for _ in range(2)]

    assert len(runs) == 1
    assert outputs == [{"input_node": {"n": 4}, "work": {"half": 2.0}}] * 2
    assert len(client.runs(workflow.id)) == 2
    with pytest.raises(Conflict, match="Another request came with this Idempotency-Key"):
        client.start(workflow.id, {"input_node": {"n": 5}}, idempotency_key="k")


def test_a_decision_is_made_once_and_told_again(client: Client) -> None:
    workflow = client.workflows.create("asks", ASKS)
    with pytest.raises(RunPaused) as raised:
        client.run(workflow.id, {"input_node": {"amount": 1}})
    live = client.attach(raised.value.run.id)

    decided = [live.decide("APPROVE", user_id="ann", idempotency_key="k") for _ in range(2)]

    assert decided[0] == decided[1]
    assert len(client.pause_history(live.id)) == 1
    with pytest.raises(Conflict, match="approved by ann"):
        live.decide("APPROVE", user_id="ann")
