"""Rows as ranges, against plain sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rowel.core.selections import Selection

ROWS = st.frozensets(st.integers(0, 40))


@given(ROWS)
def test_a_selection_holds_the_rows_it_was_made_of(rows):
    selection = Selection.of([*rows, *rows])

    assert list(selection) == sorted(rows)
    assert {row for row in range(-2, 45) if row in selection} == rows
    assert (selection.size, bool(selection), selection.end) == (
        len(rows),
        bool(rows),
        max(rows, default=-1) + 1,
    )


@given(ROWS)
def test_ranges_are_in_order_and_apart(rows):
    ranges = Selection.of(rows).ranges

    assert all(first <= last for first, last in ranges)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))


@given(ROWS, st.integers(0, 45))
def test_the_next_row_and_the_rows_before_are_those_of_the_set(rows, row):
    selection = Selection.of(rows)

    assert selection.next_from(row) == min((one for one in rows if one >= row), default=None)
    assert selection.count_before(row) == sum(one < row for one in rows)


@given(ROWS, st.integers(0, 45))
def test_before_the_bound_lie_as_many_rows_as_asked_for(rows, count):
    selection = Selection.of(rows)

    bound = selection.bound_of(count)

    assert selection.count_before(bound) == min(count, len(rows))
    assert count == 0 or count > len(rows) or bound - 1 in rows


@given(ROWS, st.integers(41, 45))
def test_the_others_are_all_other_rows(rows, total):
    others = Selection.of(rows).others(total)

    assert set(others) == set(range(total)) - rows
    assert others == Selection.of(others)


@given(st.integers(0, 40))
def test_the_whole_is_every_row(total):
    assert list(Selection.whole(total)) == list(range(total))
    assert Selection().others(total) == Selection.whole(total)
