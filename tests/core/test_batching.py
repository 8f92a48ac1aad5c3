"""What may happen next in a batch, by a batch in memory that is played to its end."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rowel.core.batching import Outlook, bound_of, next_row, outlook, passed_threshold, to_begin
from rowel.core.records import Batch, DatasetID, RunID
from rowel.core.selections import Selection

ROWS = st.frozensets(st.integers(0, 30), min_size=1)
WAYS = st.lists(st.sampled_from(["completed", "failed", "canceled", "paused"]), min_size=31, max_size=31)
THRESHOLDS = st.none() | st.fixed_dictionaries(
    {"count": st.none() | st.integers(0, 5), "percent": st.none() | st.integers(0, 100), "after": st.none()}
)


def make_batch(rows=None, total=10, **fields):
    selection = None if rows is None else Selection.of(rows).ranges
    size = total if rows is None else len(set(rows))
    return Batch(
        **{
            "run_id": RunID("b"),
            "dataset_id": DatasetID("d"),
            "total": size,
            "selection": selection,
            **fields,
        }
    )


def begin(batch, row):
    return replace(batch, cursor=row + 1)


def end(batch, way):
    return replace(batch, **{way: getattr(batch, way) + 1})


def play(batch, ways, window):
    """Begin rows as they may and let them end, `window` at a time, until nothing is to be done. Return the batch and
    the rows in the order they began."""
    begun, flying = [], []
    ways = iter(ways)
    while True:
        while len(flying) < window and (row := next_row(batch)) is not None:
            batch = begin(batch, row)
            begun.append(row)
            flying.append(next(ways))
        if not flying:
            return batch, begun
        assert outlook(batch) is Outlook.GOES_ON
        batch = end(batch, flying.pop(0))


@given(ROWS, WAYS, st.integers(1, 5))
def test_without_limits_every_row_of_the_selection_begins_once_in_order(rows, ways, window):
    batch, begun = play(make_batch(rows), ways, window)

    assert begun == sorted(rows)
    assert outlook(batch) is (Outlook.WAITS if batch.paused else Outlook.COMPLETES)
    assert to_begin(batch) == 0


@given(ROWS, WAYS, st.integers(1, 5), st.integers(1, 40))
def test_as_many_rows_are_tried_first_as_asked_for_and_the_others_once_approved(rows, ways, window, canary):
    batch, tried = play(make_batch(rows, canary=canary), ways, window)

    assert tried == sorted(rows)[:canary]
    if canary < len(rows):
        assert outlook(batch) is Outlook.ASKS
        batch, others = play(replace(batch, canary=None), ways, window)
        assert others == sorted(rows)[canary:]
    assert outlook(batch) in (Outlook.WAITS, Outlook.COMPLETES)


@given(ROWS, WAYS, st.integers(1, 5), THRESHOLDS)
def test_no_row_begins_while_a_threshold_is_passed(rows, ways, window, threshold):
    batch, begun = play(make_batch(rows, options={"threshold": threshold}), ways, window)

    fails = passed_threshold(batch) is not None
    assert (outlook(batch) is Outlook.FAILS) == fails
    assert fails or begun == sorted(rows)
    limit = threshold and threshold["count"]
    if isinstance(limit, int):
        assert batch.failed <= limit + window


@given(ROWS, st.data())
def test_counts_of_rows_come_from_the_cursor(rows, data):
    cursor = data.draw(st.integers(0, 32))
    batch = make_batch(rows, cursor=cursor)

    assert batch.begun == len([row for row in rows if row < cursor])
    assert to_begin(batch) == len(rows) - batch.begun
    assert batch.in_flight == batch.begun


def test_a_row_in_flight_keeps_a_batch_from_resting():
    batch = make_batch(total=3, cursor=3, completed=1, failed=1, options={"threshold": {"count": 0}})

    assert passed_threshold(batch) is not None
    assert outlook(batch) is Outlook.GOES_ON
    assert outlook(end(batch, "completed")) is Outlook.FAILS


def test_rows_that_wait_for_people_keep_no_batch_from_failing():
    batch = make_batch(total=9, cursor=3, paused=1, failed=2, options={"threshold": {"count": 1}})

    assert outlook(batch) is Outlook.FAILS


def test_a_canary_as_large_as_the_batch_asks_nobody():
    batch, _ = play(make_batch(total=3, canary=3), ["completed"] * 3, 1)

    assert bound_of(batch) == 3
    assert outlook(batch) is Outlook.COMPLETES


def test_a_batch_whose_counts_lag_behind_goes_on():
    """As when a row could not be written: it is begun anew."""
    assert outlook(make_batch(total=3, cursor=2, completed=2)) is Outlook.GOES_ON
    assert outlook(make_batch(total=3, cursor=3, completed=2)) is Outlook.GOES_ON


def test_a_threshold_that_is_judged_anew_lets_a_batch_go_on():
    batch = make_batch(total=9, cursor=2, failed=2, options={"threshold": {"count": 1}})

    assert next_row(batch) is None
    assert next_row(replace(batch, options={"threshold": {"count": 2}})) == 2
    assert next_row(replace(batch, options={})) == 2


def test_counts_add_up():
    batch = make_batch(total=20, cursor=9, completed=2, failed=1, canceled=1, paused=2, running=3)

    assert batch.queued == 11
