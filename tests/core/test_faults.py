"""Faults as text."""

from __future__ import annotations

import pytest

from rowel.core.faults import Fault, Harm, Point, parse_faults


def test_a_fault_names_a_point_a_number_and_a_harm():
    assert parse_faults("commit.after:3:kill") == (Fault(Point.COMMIT_AFTER, 3, 3, Harm.KILL),)


def test_a_fault_may_last_and_have_others_beside_it():
    assert parse_faults(" begin.before:5-9:full, read:1:hang,") == (
        Fault(Point.BEGIN_BEFORE, 5, 9, Harm.FULL),
        Fault(Point.READ, 1, 1, Harm.HANG),
    )


def test_without_text_there_are_none():
    assert parse_faults("") == ()


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("harm", Harm)
def test_every_point_and_every_harm_can_be_named(point, harm):
    assert parse_faults(f"{point}:1:{harm}") == (Fault(point, 1, 1, harm),)


@pytest.mark.parametrize(
    "text",
    ["x:1:kill", "read:1:x", "read:0:kill", "read:kill", "read:1", "read:1-0:io", "read:1:kill:2", "read"],
)
def test_anything_else_is_refused_with_what_is_possible(text):
    with pytest.raises(ValueError, match=r"point:n:harm with a point of connect, .* and a harm of kill, "):
        parse_faults(text)
