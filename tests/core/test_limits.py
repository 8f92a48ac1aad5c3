"""Allowances: never more than a limit says in any minute, never less than it could be."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.limits import (
    NOTHING_TAKEN,
    UNLIMITED,
    Ask,
    Bucket,
    Limit,
    Limits,
    Scope,
    State,
    given_back,
    is_idle,
    serve,
)

CALL, ROW = Ask(tokens=0, is_row=False), Ask(tokens=0, is_row=True)

gaps = st.lists(st.floats(0, 30), min_size=1, max_size=120)


def scope(key="openai/gpt-4o", **limit):
    return Scope(key, key, Limit(**limit))


def most_in_a_minute(times, weights=None):
    """The most that went in any 60 seconds."""
    weights = weights or [1] * len(times)
    return max(
        (sum(weights[start : bisect_left(times, time + 60.0)]) for start, time in enumerate(times)), default=0
    )


def greedy(limit, asks, times):
    """Those times at which one went, if at each of them one asks (and at once again when its turn comes)."""
    shared, states, went, now = scope(**limit), {}, [], 0.0
    for ask, gap in zip(asks, times, strict=False):
        now += gap
        served = serve([shared], states, [ask], now)
        while served.wait is not None:
            assert served.wait.until > now
            now = served.wait.until
            served = serve([shared], served.states, [ask], now)
        states = served.states
        went.append(now)
    return went


@given(st.integers(1, 200), gaps)
def test_in_no_minute_more_requests_go_than_the_limit_says(per_minute, times):
    went = greedy({"requests_per_minute": per_minute}, [CALL] * len(times), times)

    assert most_in_a_minute(went) <= per_minute


@given(st.integers(1, 60))
def test_who_always_asks_gets_nearly_all_that_the_limit_allows(per_minute):
    count = per_minute * 3
    went = greedy({"requests_per_minute": per_minute}, [CALL] * count, [0.0] * count)

    assert most_in_a_minute(went) == per_minute
    assert went[-1] <= 60.0 * 3 * 1.12


@given(
    st.integers(100, 10_000).flatmap(
        lambda limit: st.tuples(
            st.just(limit), st.lists(st.integers(1, limit // 10), min_size=1, max_size=60), gaps
        )
    )
)
def test_in_no_minute_more_tokens_go_than_the_limit_says(case):
    per_minute, tokens, times = case
    asks = [Ask(count, is_row=False) for count in tokens]
    went = greedy({"tokens_per_minute": per_minute}, asks, times)

    assert most_in_a_minute(went, tokens) <= per_minute + 1


def test_a_call_that_needs_more_than_may_go_at_once_goes_alone_and_the_others_wait_for_it():
    shared, large = scope(tokens_per_minute=1000), Ask(5000, is_row=False)

    first = serve([shared], {}, [large, Ask(1, is_row=False)], 0.0)

    assert first.going == 1
    assert first.wait.until == pytest.approx(60.0 / 901 * 4902, rel=0.001)


@given(st.integers(1, 50), st.lists(st.booleans(), max_size=60))
def test_no_more_are_under_way_than_may_be_at_once(at_once, rows):
    asks = [Ask(0, is_row) for is_row in rows]

    served = serve([scope(at_once=at_once)], {}, asks, 0.0)

    assert served.going <= at_once
    assert served.going == len(asks) or served.wait.until is None


@pytest.mark.parametrize(("at_once", "rows"), [(1, 1), (9, 9), (10, 9), (25, 23)])
def test_of_ten_places_rows_leave_one_to_others(at_once, rows):
    shared = scope(at_once=at_once)

    served = serve([shared], {}, [ROW] * 100, 0.0)
    after = serve([shared], served.states, [CALL] * 100, 0.0)

    assert (served.going, after.going) == (rows, at_once - rows)


def test_rows_leave_half_of_what_may_go_at_once_to_others():
    shared = scope(requests_per_minute=100)

    served = serve([shared], {}, [ROW] * 100, 0.0)
    after = serve([shared], served.states, [CALL] * 100, 0.0)

    assert (served.going, after.going) == (5, 5)


@given(st.integers(1, 500))
def test_rows_alone_are_as_fast_as_calls_alone(per_minute):
    went = greedy({"requests_per_minute": per_minute}, [ROW] * 60, [0.0] * 60)

    assert went[-1] - went[-2] == pytest.approx(Bucket(per_minute).interval)


def test_a_call_keeps_to_all_limits_that_fit_it_or_takes_of_none():
    model, provider = scope(requests_per_minute=600), scope("openai/*", at_once=2)

    served = serve([model, provider], {}, [CALL] * 5, 0.0)

    assert served.going == 2
    assert served.wait.why == "openai/*: 2 at once"
    assert served.states[model.key].requests_at == pytest.approx(2 * Bucket(600).interval)


def test_tokens_that_were_not_used_are_given_back_and_those_that_were_used_besides_are_counted():
    limit = Limit(tokens_per_minute=6000)
    served = serve([Scope("m", "m", limit)], {}, [Ask(100, is_row=False)], 0.0)

    less = given_back(limit, served.states["m"], Ask(100, is_row=False), 40)
    more = given_back(limit, served.states["m"], Ask(100, is_row=False), 400)
    unknown = given_back(limit, served.states["m"], Ask(100, is_row=False), None)

    interval = Bucket(6000).interval
    assert [state.tokens_at for state in (less, more, unknown)] == pytest.approx(
        [40 * interval, 400 * interval, 100 * interval]
    )
    assert less.in_use == 0


def test_nobody_goes_while_the_provider_wants_to_be_left_alone():
    shared = Scope("m", "m", UNLIMITED)

    held = serve([shared], {"m": State(held_until=7.0)}, [CALL], 6.9)
    after = serve([shared], {"m": State(held_until=7.0)}, [CALL], 7.0)

    assert (held.going, held.wait.until, held.wait.is_hold) == (0, 7.0, True)
    assert after.going == 1


def test_what_has_been_earned_again_makes_no_difference():
    limit = Limit(requests_per_minute=60, at_once=1)
    served = serve([Scope("m", "m", limit)], {}, [CALL], 0.0)
    state = given_back(limit, served.states["m"], CALL, None)

    assert not is_idle(served.states["m"], 100.0)
    assert not is_idle(state, 0.5)
    assert is_idle(state, 1.2)
    assert is_idle(NOTHING_TAKEN, 0.0)


def test_a_model_keeps_to_its_own_limit_that_of_its_provider_and_that_of_all():
    limits = Limits({"openai/gpt-4o": Limit(at_once=1), "openai/*": Limit(at_once=2), "*": Limit(at_once=3)})

    assert [one.key for one in limits.scopes_of("openai/gpt-4o")] == ["openai/gpt-4o", "openai/*", "*"]
    assert [one.limit.at_once for one in limits.scopes_of("openai/o1")] == [None, 2, 3]
    assert [one.limit.at_once for one in limits.scopes_of("anthropic/x")] == [None, 3]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"at_once": 0},
        {"at_once": True},
        {"at_once": 1.5},
        {"at_once": 10_001},
        {"requests_per_minute": "60"},
        {"requests_per_second": 1},
    ],
)
def test_what_is_no_limit_is_refused_with_a_sentence(value):
    with pytest.raises(ValueError, match=r"at_once|requests_per_minute"):
        Limit.read(value)
