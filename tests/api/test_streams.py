"""Streams of events: framed, kept alive, coalesced, and let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rowel.api import streams
from rowel.api.listeners import Listeners
from rowel.api.streams import coalesced, frame, kept_alive
from rowel.core.errors import Unavailable
from rowel.core.records import Event


class Source:
    """Gives what is put in, and says whether it was let go of."""

    def __init__(self, *given: object) -> None:
        self.queue: asyncio.Queue[object] = asyncio.Queue()
        for item in given:
            self.queue.put_nowait(item)
        self.is_closed = False

    def put(self, *items: object) -> None:
        for item in items:
            self.queue.put_nowait(item)

    async def stream(self) -> AsyncIterator[object]:
        try:
            while (item := await self.queue.get()) is not None:
                yield item
        finally:
            self.is_closed = True


async def read(stream: AsyncIterator[object], count: int) -> list[object]:
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


def test_an_event_is_framed_with_its_number_kind_and_body_on_one_line() -> None:
    text = frame("task", {"error": "two\nlines\ud800"}, 7).decode()

    assert text == 'id: 7\nevent: task\ndata: {"error":"two\\nlines\\ud800"}\n\n'


def test_an_event_without_a_number_can_not_be_resumed_from() -> None:
    assert frame("run", {}) == b"event: run\ndata: {}\n\n"


async def test_a_stream_whose_store_is_lost_ends_so_that_its_client_comes_back() -> None:
    async def frames() -> AsyncIterator[bytes]:
        yield b"one"
        raise Unavailable

    seen = [part async for part in kept_alive(frames(), 20, asyncio.Event())]

    assert seen == [b": hello\n\n", b"one"]


async def test_a_stream_says_hello_at_once_and_ends_with_its_events() -> None:
    source = Source(b"one", b"two", None)

    found = [part async for part in kept_alive(source.stream(), 60, asyncio.Event())]

    assert found == [b": hello\n\n", b"one", b"two"]
    assert source.is_closed


async def test_silence_is_broken_by_comments() -> None:
    source = Source()
    stream = kept_alive(source.stream(), 0.001, asyncio.Event())

    assert await read(stream, 3) == [b": hello\n\n", b": still here\n\n", b": still here\n\n"]
    source.put(b"news")
    async with asyncio.timeout(10):
        while await anext(stream) != b"news":
            pass
    await stream.aclose()


async def test_a_stream_ends_when_the_server_is_about_to() -> None:
    source, closing = Source(), asyncio.Event()
    stream = kept_alive(source.stream(), 60, closing)
    assert await read(stream, 1) == [b": hello\n\n"]
    ended = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0)

    closing.set()

    async with asyncio.timeout(10):
        assert await ended is None
    assert source.is_closed


async def test_a_listener_that_leaves_frees_its_subscription() -> None:
    source = Source()
    stream = kept_alive(source.stream(), 60, asyncio.Event())
    await read(stream, 1)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert source.is_closed


async def test_an_error_of_the_source_reaches_the_reader() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        _ = [part async for part in kept_alive(broken(), 60, asyncio.Event())]


async def test_of_changes_of_one_kind_to_one_run_only_the_last_is_told() -> None:
    source = Source(
        ("a", Event(1, "task", {"n": 1})),
        ("a", Event(2, "task", {"n": 2})),
        ("b", Event(1, "task", {"n": 3})),
        ("a", Event(3, "run", {"n": 4})),
    )
    stream = coalesced(source.stream(), 0)
    found = await read(stream, 3)

    assert [(run_id, event.number) for run_id, event in found] == [("a", 2), ("b", 1), ("a", 3)]
    await stream.aclose()
    assert source.is_closed


async def test_what_a_slow_listener_has_not_heard_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BACKLOG", 2)
    source = Source(*((run_id, Event(1, "run", {})) for run_id in "abcd"))
    stream = coalesced(source.stream(), 0)
    found = await read(stream, 2)

    assert [run_id for run_id, _ in found] == ["c", "d"]
    await stream.aclose()


class Told:
    """Stands in for a listening: gives its groups, and waits until it is ended."""

    def __init__(self, *given: list[Event]) -> None:
        self._given = given
        self._ended = asyncio.Event()

    def end(self) -> None:
        self._ended.set()

    async def groups(self) -> AsyncIterator[list[Event]]:
        for group in self._given:
            yield group
        await self._ended.wait()


async def test_all_listeners_of_a_run_are_sent_the_same_bytes_and_let_go_at_the_end() -> None:
    closing = asyncio.Event()
    listeners = Listeners(closing)
    group = [Event(1, "log", {"n": 1}), Event(2, "log", {"n": 2})]
    both = [listeners.stream("r", Told(group, [])) for _ in range(2)]  # type: ignore[arg-type]  # it has what is used

    heard = [await read(stream, 3) for stream in both]
    closing.set()

    assert heard[0] == [
        b": hello\n\n",
        b'id: 1\nevent: log\ndata: {"run_id":"r","n":1}\n\nid: 2\nevent: log\ndata: {"run_id":"r","n":2}\n\n',
        b": still here\n\n",
    ]
    assert heard[0][1] is heard[1][1]
    async with asyncio.timeout(10):
        assert [[part async for part in stream] for stream in both] == [[], []]
