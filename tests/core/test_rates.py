"""How fast a batch moves."""

from datetime import UTC, datetime, timedelta

import pytest

from rowel.core.rates import Sample, rows_per_s, seconds_left

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds, settled):
    return Sample(NOON + timedelta(seconds=seconds), settled)


@pytest.mark.parametrize(
    ("samples", "now", "rate"),
    [
        ([], at(0, 5), None),
        ([at(0, 0)], at(0, 5), None),
        ([at(0, 0)], at(10, 50), 5.0),
        ([at(9, 49), at(5, 20), at(0, 0)], at(10, 50), 5.0),
        ([at(70, 650), at(60, 600), at(40, 400), at(0, 0)], at(70, 700), 10.0),
        ([at(60, 400), at(0, 0)], at(90, 400), 0.0),
        ([at(0, 0)], at(-3600, 5), None),
        ([at(0, 9)], at(1, 5), 0.0),
    ],
)
def test_the_rate_is_that_of_the_last_half_minute(samples, now, rate):
    assert rows_per_s(samples, now) == rate


def test_the_time_left_follows_from_the_rate():
    assert seconds_left(100, 5.0) == 20.0
    assert seconds_left(0, 5.0) == 0.0
    assert seconds_left(100, 0.0) is None
    assert seconds_left(100, None) is None
