from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.retries import LONGEST_WAIT_S, persist, retry_after_s, wait_s

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Sleeper:
    """Sleeps no time and remembers how long it was to sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


class Service:
    """Fails as told, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def busy(after_s: float | None = None) -> NodeFailed:
    return NodeFailed("busy", retryable=True, retry_after_s=after_s)


async def test_a_call_that_works_is_made_once():
    service, sleep = Service(), Sleeper()

    assert await persist(service, attempts=3, sleep=sleep) == "answer"
    assert (service.calls, sleep.slept) == (1, [])


async def test_it_waits_longer_each_time():
    service, sleep = Service(busy(), busy(), busy()), Sleeper()

    assert await persist(service, attempts=4, sleep=sleep) == "answer"
    assert service.calls == 4
    assert all(
        low <= wait <= high
        for wait, (low, high) in zip(sleep.slept, [(0.25, 0.5), (0.5, 1), (1, 2)], strict=True)
    )


async def test_it_waits_what_the_other_side_asked_for():
    service, sleep = Service(busy(7), busy(0)), Sleeper()

    await persist(service, attempts=3, sleep=sleep)

    assert sleep.slept == [7, 0]


async def test_the_last_failure_is_told_when_the_tries_are_used_up():
    service = Service(busy(), NodeFailed("still busy", retryable=True))

    with pytest.raises(NodeFailed, match="still busy"):
        await persist(service, attempts=2, sleep=Sleeper())

    assert service.calls == 2


async def test_what_will_not_pass_is_not_tried_again():
    service = Service(NodeFailed("wrong key"))

    with pytest.raises(NodeFailed, match="wrong key"):
        await persist(service, attempts=3, sleep=Sleeper())

    assert service.calls == 1


async def test_an_error_that_nobody_expected_is_not_tried_again():
    service = Service(KeyError("x"))

    with pytest.raises(KeyError):
        await persist(service, attempts=3, sleep=Sleeper())

    assert service.calls == 1


async def test_a_long_wait_is_left_to_whoever_retries_the_task():
    service, sleep = Service(busy(LONGEST_WAIT_S + 1)), Sleeper()

    with pytest.raises(NodeFailed) as failed:
        await persist(service, attempts=3, sleep=sleep)

    assert (service.calls, sleep.slept) == (1, [])
    assert failed.value.retry_after_s == LONGEST_WAIT_S + 1


async def test_a_caller_may_say_what_is_repeated():
    service = Service(busy())

    with pytest.raises(NodeFailed):
        await persist(service, attempts=3, sleep=Sleeper(), repeats=lambda failure: False)

    assert service.calls == 1


@pytest.mark.parametrize(
    ("tries", "chance", "expected"),
    [(1, 0.0, 0.25), (1, 1.0, 0.5), (2, 1.0, 1.0), (4, 1.0, 4.0), (20, 1.0, 60.0), (20, 0.0, 30.0)],
)
def test_a_wait_doubles_up_to_a_minute_and_is_jittered_by_half(tries, chance, expected):
    assert wait_s(tries, jitter=lambda: chance) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, expected):
    assert retry_after_s({"retry-after": header}, NOW) == expected


def test_no_header_asks_for_nothing():
    assert retry_after_s({}, NOW) is None
