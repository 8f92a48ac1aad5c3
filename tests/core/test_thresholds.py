"""When too many rows have failed."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rowel.core.errors import InvalidInputs
from rowel.core.thresholds import FailureThreshold


def passed(threshold, failed, settled, total=1000):
    return FailureThreshold(**threshold).passed(failed=failed, settled=settled, total=total)


@pytest.mark.parametrize(
    ("threshold", "failed", "settled", "told"),
    [
        ({"count": 3}, 3, 3, None),
        ({"count": 3}, 4, 900, "more than 3 rows failed (4 of 900)"),
        ({"count": 1}, 2, 2, "more than 1 row failed (2 of 2)"),
        ({"count": 0}, 1, 1, "more than 0 rows failed (1 of 1)"),
        ({"percent": 5}, 2, 19, None),
        ({"percent": 5}, 1, 20, None),
        ({"percent": 5}, 2, 20, "more than 5 % of rows failed (2 of 20)"),
        ({"percent": 5, "after": 200}, 199, 199, None),
        ({"percent": 5, "after": 200}, 10, 200, None),
        ({"percent": 5, "after": 200}, 11, 200, "more than 5 % of rows failed (11 of 200)"),
        ({"percent": 5, "after": 1}, 1, 1, "more than 5 % of rows failed (1 of 1)"),
        ({"percent": 0}, 1, 1, "more than 0 % of rows failed (1 of 1)"),
        ({"percent": 0}, 0, 1000, None),
        ({"percent": 100}, 1000, 1000, None),
        ({"percent": 0.57}, 57, 10_000, None),
        ({"percent": 0.57}, 58, 10_000, "more than 0.57 % of rows failed (58 of 10000)"),
        ({"percent": 50, "count": 2}, 3, 900, "more than 2 rows failed (3 of 900)"),
        ({"percent": 50, "count": 900}, 451, 900, "more than 50 % of rows failed (451 of 900)"),
    ],
)
def test_it_is_passed_by_more_failures_than_may_be(threshold, failed, settled, told):
    assert passed(threshold, failed, settled, total=10_000) == told


def test_where_there_are_fewer_rows_than_the_patience_all_of_them_are_judged():
    assert passed({"percent": 5, "after": 200}, 3, 9, total=10) is None
    assert passed({"percent": 5, "after": 200}, 3, 10, total=10) is not None


@given(st.floats(0.1, 100), st.integers(1, 2000))
def test_without_a_patience_of_its_own_a_single_failure_passes_no_share(percent, settled):
    assume(percent > 0.1)

    assert passed({"percent": percent}, 1, settled, total=10**9) is None


@given(st.integers(0, 50), st.floats(0, 100), st.integers(0, 60), st.integers(0, 60))
def test_more_failures_among_as_many_rows_never_undo_it(count, percent, failed, others):
    settled = failed + others
    threshold = {"count": count, "percent": percent}
    assume(failed > 0)

    if passed(threshold, failed - 1, settled) is not None:
        assert passed(threshold, failed, settled) is not None


@given(st.none() | st.integers(0, 9), st.none() | st.floats(0, 100), st.none() | st.integers(1, 9))
def test_it_comes_back_from_plain_json(count, percent, after):
    threshold = FailureThreshold(count=count, percent=percent, after=after)

    assert FailureThreshold.read(threshold.write()) == threshold
    assert FailureThreshold.read(None) is None


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "neither count nor percent"),
        ({"after": 3}, "neither count nor percent"),
        ({"count": 3, "after": 3}, "after is about percent"),
        ({"count": -1}, "count must be a whole number of at least 0"),
        ({"count": 1.5}, "count"),
        ({"count": True}, "count"),
        ({"count": "3"}, "count"),
        ({"percent": 100.1}, "percent must be a number from 0 to 100"),
        ({"percent": -1}, "percent"),
        ({"percent": float("nan")}, "percent"),
        ({"percent": 5, "after": 0}, "after must be a whole number of at least 1"),
        ({"share": 5}, "no field 'share'"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, why):
    with pytest.raises(InvalidInputs, match=why):
        FailureThreshold.asked(asked)


def test_what_makes_sense_is_taken():
    assert FailureThreshold.asked({"count": 3}) == FailureThreshold(count=3)
    assert FailureThreshold.asked({"percent": 2.5, "after": 9}) == FailureThreshold(percent=2.5, after=9)
