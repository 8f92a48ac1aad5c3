"""When the bench gives a ratio, and when it says why there is none. Nothing is timed here."""

from __future__ import annotations

import pytest
from bench.readings import (
    Conditions,
    Reading,
    Series,
    compare,
    figure,
    is_calm,
    least,
    most,
    unmeasured,
)
from bench.report import verdict

QUIET = Conditions(busy=0.02, loop_s=0.004)
LOADED = Conditions(busy=0.6, loop_s=0.004)
SLOW = Conditions(busy=0.02, loop_s=0.006)


def series(
    name: str, *values: float, trouble: str = "", at: Conditions = QUIET, unit: str = "runs/s"
) -> Series:
    return Series(name, unit, tuple(Reading(value, at) for value in values), trouble)


OURS = series("Rowel", 100, 110, 90)
THEIRS = series("a peer", 10, 9, 11)


def test_a_ratio_is_that_of_the_medians_with_the_spread_of_the_turns():
    row = compare("work", OURS, THEIRS, turns=3, bound=least(8))

    assert row.value == 10
    assert row.spread == pytest.approx((90 / 11, 110 / 9))
    assert row.holds is True
    assert verdict(row) == "reached"


def test_a_floor_that_is_missed_is_said():
    row = compare("work", OURS, THEIRS, turns=3, bound=least(10.5))

    assert row.holds is False
    assert "missed" in verdict(row)


def test_a_share_is_given_in_percent():
    assert compare("work", THEIRS, OURS, turns=3, bound=least(10, "%")).value == 10


def test_a_figure_of_our_own_may_be_at_most_its_bound():
    assert figure("work", "what", series("ms", 1.0, 1.4, 1.2), turns=3, bound=most(1.5, "ms")).holds is True
    assert figure("work", "what", series("ms", 1.6, 1.4, 1.7), turns=3, bound=most(1.5, "ms")).holds is False


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        (
            OURS,
            series("a peer", 10, trouble="the work was not done: 3 of 7 results were wrong"),
            "3 of 7 results",
        ),
        (
            series("Rowel", trouble="the work was not done: it hung"),
            THEIRS,
            "Rowel: the work was not done: it hung",
        ),
        (OURS, series("a peer", 10, 9), "a peer: 2 turns of 3"),
        (OURS, series("a peer", 10, 0, 11), "nothing was done"),
        (OURS, series("a peer", 10, 9, 11, at=LOADED), "loaded: others used 60%"),
        (OURS, series("a peer", 10, 9, 11, at=SLOW), "not steady: a loop of fixed work took 1.50 times"),
    ],
    ids=["theirs-wrong", "ours-hung", "too-few-turns", "nothing-done", "loaded", "unsteady"],
)
def test_where_a_ratio_would_mean_nothing_there_is_none_and_the_row_says_why(ours, theirs, why):
    row = compare("work", ours, theirs, turns=3, bound=least(5))

    assert row.value is None
    assert row.spread is None
    assert row.holds is None
    assert why in row.why
    assert verdict(row) == f"not measured: {row.why}"


def test_a_loaded_machine_gives_no_figure_of_our_own_either():
    assert figure("work", "what", series("s", 0.5, 0.5, at=LOADED), turns=2, bound=most(1, "s")).value is None


def test_one_loaded_turn_of_many_is_enough():
    mixed = Series("Rowel", "runs/s", (*OURS.readings[:2], Reading(100, LOADED)))

    assert compare("work", mixed, THEIRS, turns=3).value is None


def test_a_peer_that_could_not_be_installed_is_a_row_without_a_figure():
    row = unmeasured("work", "a peer", "the peer could not be installed: no such package", bound=least(5))

    assert row.value is None
    assert row.holds is None
    assert "could not be installed" in verdict(row)


def test_a_reading_waits_for_a_machine_that_is_quiet_and_as_fast_as_it_was():
    assert is_calm(QUIET, QUIET.loop_s)
    assert not is_calm(LOADED, QUIET.loop_s)
    assert not is_calm(SLOW, QUIET.loop_s)
