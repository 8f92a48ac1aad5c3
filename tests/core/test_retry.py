"""A failed task is tried again later each time, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.retry import MAX_WAIT_S, Retry

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def wait(retry, attempt, **asked):
    at = retry.next_at(attempt, NOW, **asked)
    assert at is not None
    return (at - NOW).total_seconds()


def test_the_wait_doubles_with_each_try():
    retry = Retry(attempts=10, backoff_s=1.5)

    assert [wait(retry, attempt) for attempt in (1, 2, 3, 4)] == [1.5, 3, 6, 12]


def test_after_the_last_try_there_is_none():
    retry = Retry(attempts=3, backoff_s=1)

    assert retry.next_at(2, NOW) == NOW + timedelta(seconds=2)
    assert retry.next_at(3, NOW) is None
    assert retry.next_at(4, NOW) is None


def test_a_single_attempt_is_never_repeated_whatever_the_other_side_asks():
    assert Retry(attempts=1, backoff_s=1).next_at(1, NOW, retry_after_s=5) is None


def test_without_a_backoff_the_next_try_is_at_once():
    assert wait(Retry(attempts=5, backoff_s=0), 4) == 0


def test_what_the_other_side_asks_for_is_waited_for():
    retry = Retry(attempts=5, backoff_s=4)

    assert wait(retry, 1, retry_after_s=30) == 30
    assert wait(retry, 1, retry_after_s=1) == 4


@pytest.mark.parametrize("asked", [0, -5, float("nan"), float("-inf"), None])
def test_what_nobody_can_wait_for_is_ignored(asked):
    assert wait(Retry(attempts=5, backoff_s=2), 1, retry_after_s=asked) == 2


@pytest.mark.parametrize("asked", [1e9, float("inf")])
def test_nobody_makes_us_wait_longer_than_an_hour(asked):
    assert wait(Retry(attempts=5, backoff_s=2), 1, retry_after_s=asked) == MAX_WAIT_S


@given(st.integers(1, 10**6), st.floats(0, 3600), st.none() | st.floats())
def test_every_wait_is_between_nothing_and_an_hour(attempt, backoff_s, asked):
    retry = Retry(attempts=10**6 + 1, backoff_s=backoff_s)

    assert 0 <= wait(retry, attempt, retry_after_s=asked) <= MAX_WAIT_S


@given(st.integers(1, 200), st.floats(0, 3600))
def test_waits_never_get_shorter(attempt, backoff_s):
    retry = Retry(attempts=1000, backoff_s=backoff_s)

    assert wait(retry, attempt) <= wait(retry, attempt + 1)


def test_the_time_keeps_its_zone():
    at = Retry(attempts=2, backoff_s=1).next_at(1, NOW)

    assert at is not None
    assert at.tzinfo is UTC
