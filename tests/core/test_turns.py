"""Who goes next: interactive calls first, rows with what these leave, and never none of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowel.core.turns import ROW_PATIENCE_S, Line


def line(*waiting, now=0.0):
    made = Line()
    for one in waiting:
        made.join(one, now, is_row=one.startswith("row"))
    return made


def names(made, most=100, now=1.0):
    return [one for one, _ in made.first(most, now)]


def test_calls_go_before_rows_and_each_in_their_order():
    made = line("row-1", "call-1", "row-2", "call-2")

    assert made.first(3, 1.0) == [("call-1", False), ("call-2", False), ("row-1", True)]


def test_who_left_is_not_called():
    made = line("call-1", "row-1")
    made.leave("call-1")
    made.leave("row-1")

    assert names(made) == []
    assert made.is_idle


def test_a_row_that_has_waited_for_long_goes_ahead_once():
    made = line("row-1", "row-2", "call-1")

    assert made.row_is_late_at() == ROW_PATIENCE_S
    assert made.first(2, ROW_PATIENCE_S) == [("row-1", False), ("call-1", False)]
    made.go("row-1", ROW_PATIENCE_S)
    assert names(made, now=ROW_PATIENCE_S) == ["call-1", "row-2"]
    assert made.row_is_late_at() == 2 * ROW_PATIENCE_S


@given(st.integers(1, 20), st.integers(1, 5))
def test_rows_go_on_however_many_calls_come(rows, each_s):
    made: Line[str] = line(*[f"row-{number}" for number in range(rows)])
    gone, now = 0, 0.0
    for number in range(int(rows * ROW_PATIENCE_S / each_s) + rows + 1):
        made.join(f"call-{number}", now, is_row=False)
        ((one, _),) = made.first(1, now)
        made.go(one, now)
        gone += one.startswith("row")
        now += each_s

    assert gone == rows


def test_after_a_hold_one_goes_and_then_twice_as_many_each_time():
    made = line(*[f"call-{number}" for number in range(20)])
    made.hold()
    together = []
    while made:
        first = names(made)
        together.append(len(first))
        for one in first:
            made.go(one, 1.0)
        for _ in first:
            made.end(is_answered=True)

    assert together == [1, 2, 4, 8, 5]
    assert not made.is_narrow


def test_a_second_refusal_narrows_the_line_again():
    made = line("call-1", "call-2", "call-3")
    made.hold()
    made.go("call-1", 1.0)
    made.hold()
    made.end(is_answered=False)

    assert names(made) == ["call-2"]
    made.go("call-2", 1.0)
    assert made.is_narrow
