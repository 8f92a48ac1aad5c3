"""Waiting for runs and following them, while connections break and servers restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rowel import AsyncClient, Client
from rowel.client import ConnectionLost, Status, StillRunning, transport
from rowel.client.blocking import LiveRun
from rowel.client.models import Run
from rowel.client.streams import EventReader
from rowel.client.waiting import LONGEST_S, SHORTEST_S, Deadline, Patience, pauses
from tests.support.providers import Providers, Reply
from tests.support.server import Server
from tests.support.workflows import HALVES, waits

Handler = Callable[[httpx.Request], httpx.Response]


def a_run(status: str) -> dict[str, Any]:
    return {"id": "r", "workflow_id": "w", "status": status, "start_time": "2026-01-02T03:04:05+00:00"}


def told(*numbered: tuple[int, str]) -> bytes:
    """`run` events as a stream carries them."""
    return b"".join(
        f'id: {number}\nevent: run\ndata: {{"status":"{status}"}}\n\n'.encode() for number, status in numbered
    )


class Script:
    """A server that gives its answers one after another, the last one for ever; a run is asked for apart."""

    def __init__(
        self, streams: list[httpx.Response | Exception], runs: list[httpx.Response | Exception]
    ) -> None:
        self.streams = streams
        self.runs = runs
        self.seen: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answers = self.runs
        if request.url.path.endswith("/events/"):
            answers = self.streams
            self.seen.append(request.headers.get("last-event-id"))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def stream(*numbered: tuple[int, str], rest: bytes = b"") -> httpx.Response:
    return httpx.Response(200, content=told(*numbered) + rest)


def look(status: str) -> httpx.Response:
    return httpx.Response(200, json=a_run(status))


def live(script: Handler) -> LiveRun:
    client = Client("http://rowel.test", transport=httpx.MockTransport(script))
    return LiveRun(client, Run.from_wire(a_run("RUNNING")))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which took any time."""
    made: list[float] = []
    monkeypatch.setattr("rowel.client.blocking.time.sleep", made.append)
    return made


def test_events_that_were_missed_while_the_run_ended_are_fetched(slept: list[float]) -> None:
    script = Script([stream((1, "RUNNING"), (2, "RUNNING")), stream((3, "COMPLETED"))], [look("COMPLETED")])

    assert [event.number for event in live(script).events()] == [1, 2, 3]
    assert script.seen == [None, "2"]


def test_an_event_cut_in_the_middle_is_given_once_and_whole(slept: list[float]) -> None:
    half = stream((1, "RUNNING"), rest=b"id: 2\nevent: run\n")
    script = Script([half, stream((2, "COMPLETED"))], [look("RUNNING")])

    events = list(live(script).events())

    assert [(event.number, event.run_status) for event in events] == [(1, "RUNNING"), (2, "COMPLETED")]


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.Response(503, json={"detail": "It drains.", "code": "unavailable"}),
        httpx.Response(502, text="Bad Gateway"),
    ],
)
def test_a_server_in_passing_trouble_is_asked_again(
    slept: list[float], trouble: httpx.Response | Exception
) -> None:
    script = Script([stream((1, "RUNNING")), trouble, stream((2, "COMPLETED"))], [look("RUNNING")])

    assert [event.number for event in live(script).events()] == [1, 2]
    assert slept == [0.1, 0.3]


def test_a_stream_that_ends_early_again_and_again_is_given_up(slept: list[float]) -> None:
    with pytest.raises(ConnectionLost, match="end before it does"):
        list(live(Script([stream()], [look("RUNNING")])).events())
    assert slept == list(pauses())


def test_a_run_whose_end_was_seen_already_has_no_more_events(slept: list[float]) -> None:
    script = Script([stream()], [look("COMPLETED")])

    assert list(live(script).events(after=7)) == []
    assert script.seen == ["7", "7"]


def test_waiting_outlives_a_server_that_is_away_for_a_moment(slept: list[float]) -> None:
    away: list[httpx.Response | Exception] = [httpx.ConnectError("refused"), httpx.ReadError("reset")]
    script = Script([stream()], [look("RUNNING"), *away, look("RUNNING"), *away, look("COMPLETED")])

    assert live(script).wait().status is Status.COMPLETED
    assert slept.count(0.3) == 2, "each time it was away its patience is new"


def test_waiting_gives_a_server_up_that_stays_away(slept: list[float]) -> None:
    with pytest.raises(ConnectionLost, match="no Rowel server answers"):
        live(Script([stream()], [httpx.ConnectError("refused")])).wait()
    assert slept == list(pauses())


def test_waiting_asks_for_a_run_without_its_data_until_it_rests(slept: list[float]) -> None:
    asked: list[str] = []
    script = Script([stream()], [look("RUNNING"), look("PAUSED")])

    def recorded(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        return script(request)

    assert live(recorded).wait().status is Status.PAUSED
    assert asked == ["slim=true", "slim=true", ""]


def test_a_run_that_moves_on_between_two_looks_is_waited_for(slept: list[float]) -> None:
    looks = [look("PAUSED"), look("RUNNING"), look("COMPLETED")]

    assert live(Script([stream()], [*looks])).wait().status is Status.COMPLETED


def test_waiting_ends_on_time_though_nothing_happens(client: Client, world: Providers) -> None:
    world.released.clear()
    world.on("/slow", world.held(Reply(json={})))
    run = client.start(client.workflows.create("waits", waits(f"{world.url}/slow")).id)

    with pytest.raises(StillRunning, match="it goes on") as raised:
        run.wait(timeout=0.1)

    assert raised.value.run.id == run.id
    world.released.set()
    assert run.wait(timeout=30).status is Status.COMPLETED


async def test_the_async_client_waits_likewise(server: Server, world: Providers) -> None:
    world.released.clear()
    world.on("/slow", world.held(Reply(json={})))
    async with AsyncClient(server.url) as client:
        workflow = await client.workflows.create("waits", waits(f"{world.url}/slow"))
        run = await client.start(workflow.id)
        with pytest.raises(StillRunning):
            await run.wait(timeout=0.1)
        world.released.set()
        assert (await run.wait(timeout=30)).status is Status.COMPLETED


@pytest.fixture
def mortal(tmp_path: Path, world: Providers) -> Iterator[Server]:
    """A server of the test's own, which it may kill."""
    with Server(tmp_path / "data", {"ROWEL_HTTP_ALLOW": f"127.0.0.1:{world.port}"}) as running:
        yield running


def test_each_event_comes_once_though_the_server_is_killed_in_between(
    mortal: Server, world: Providers
) -> None:
    world.released.clear()
    world.forget()
    world.on("/slow", world.held(Reply(json={})))
    with Client(mortal.url) as client:
        run = client.start(client.workflows.create("waits", waits(f"{world.url}/slow")).id)
        first, numbers = threading.Event(), []

        def follow() -> None:
            for event in LiveRun(client, run.run).events():
                numbers.append(event.number)
                first.set()

        follower = threading.Thread(target=follow)
        follower.start()
        assert first.wait(30)
        assert world.received.wait(30)
        mortal.kill()
        mortal.start()
        world.released.set()
        follower.join(60)

        assert not follower.is_alive()
        assert run.wait(timeout=30).status is Status.COMPLETED
        assert numbers == list(range(1, len(numbers) + 1))
        assert [event.number for event in run.events()] == numbers


def test_a_batch_that_has_ended_still_tells_its_counts(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("n\n0\n2\n4\n")
    batch = client.batch(client.workflows.create("halves", HALVES).id, file)
    batch.wait()

    last = list(client.attach(batch.id).progress())[-1]

    assert (last.total, last.completed, last.failed) == (3, 2, 1)


def test_the_rows_of_a_batch_are_read_in_order(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("n\n0\n2\n4\n")
    batch = client.batch(client.workflows.create("halves", HALVES).id, file)
    batch.wait()

    failed, *rows = batch.rows()

    assert (failed["row_index"], "zero" in failed["error"]) == (0, True)
    assert [row["work"] for row in rows] == [{"half": 1.0}, {"half": 2.0}]


async def test_the_async_client_reads_rows_likewise(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("n\n2\n4\n")
    async with AsyncClient(server.url) as client:
        batch = await client.batch((await client.workflows.create("halves", HALVES)).id, file)
        await batch.wait()

        assert [row["work"]["half"] async for row in batch.rows()] == [1.0, 2.0]


def test_a_download_that_breaks_off_leaves_the_file_as_it_was(world: Providers, tmp_path: Path) -> None:
    world.on("/of/f/download/", Reply(body=b'{"a": 1}\n' * 1000, cut=True))
    target = tmp_path / "out.jsonl"
    target.write_text("from last time")

    with Client(world.url) as client, pytest.raises(ConnectionLost):
        client.outputs.download("f", target)

    assert target.read_text() == "from last time"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("url", "by_proxy"),
    [
        ("http://127.0.0.1:6080", False),
        ("http://localhost", False),
        ("http://[::1]:1", False),
        ("https://a.example", True),
    ],
)
def test_only_servers_elsewhere_are_reached_through_proxies(url: str, by_proxy: bool) -> None:
    assert transport.options(url, None, 30.0)["trust_env"] is by_proxy


def test_any_number_of_runs_may_be_waited_for_at_once() -> None:
    assert transport.options("http://a.example", None, 30.0)["limits"].max_connections is None


@pytest.mark.parametrize(("waited", "pause"), [(0.0, SHORTEST_S), (5.0, 0.5), (3600.0, LONGEST_S)])
def test_a_look_comes_after_a_tenth_of_the_time_waited(waited: float, pause: float) -> None:
    assert Deadline(None, began=100.0).until_next_look(100.0 + waited) == pytest.approx(pause)


def test_a_deadline_cuts_the_last_pause() -> None:
    deadline = Deadline(10.0, began=100.0)

    assert deadline.until_next_look(109.9) == pytest.approx(0.1)
    assert (deadline.is_over(109.9), deadline.is_over(110.0)) == (False, True)
    assert (deadline.left(105.0), deadline.left(200.0)) == (5.0, 0.0)
    assert not Deadline(None, began=0.0).is_over(10.0**9)


def test_patience_is_renewed_when_the_server_is_heard_of() -> None:
    patience, trouble = Patience(), ConnectionLost("away")
    first = patience.pause_after(trouble)
    assert patience.pause_after(trouble) > first
    patience.renew()
    assert patience.pause_after(trouble) == first


@pytest.mark.parametrize(("status", "has_ended"), [("RUNNING", False), ("PAUSED", False), ("CANCELED", True)])
def test_a_reader_knows_when_the_run_has_ended(status: str, has_ended: bool) -> None:
    reader = EventReader()
    for line in told((1, status)).decode().split("\n"):
        reader.read(line)

    assert reader.has_ended is has_ended
