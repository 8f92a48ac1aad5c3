"""What may happen next in a batch, by what the store says of it: the same whoever moves it, and after any crash."""

from __future__ import annotations

from enum import Enum

from rowel.core.records import Batch


class Outlook(Enum):
    """How a batch goes on as it stands."""

    #: Rows are in flight, or may begin.
    GOES_ON = "goes on"
    #: The canary has been tried: a person decides about the other rows.
    ASKS = "asks"
    #: Every row has ended or waits for a person.
    WAITS = "waits"
    COMPLETES = "completes"
    #: Too many rows failed, and none is in flight any more.
    FAILS = "fails"


def bound_of(batch: Batch) -> int:
    """The row before which rows may begin, as long as the threshold is kept."""
    return batch.rows.end if batch.canary is None else batch.rows.bound_of(batch.canary)


def passed_threshold(batch: Batch) -> str | None:
    """What was passed, in words, where more rows failed than may; else None."""
    if batch.threshold is None:
        return None
    return batch.threshold.passed(failed=batch.failed, settled=batch.settled, total=batch.total)


def next_row(batch: Batch) -> int | None:
    """The row that may begin next; None where none may."""
    row = batch.rows.next_from(batch.cursor)
    if row is None or row >= bound_of(batch) or passed_threshold(batch) is not None:
        return None
    return row


def to_begin(batch: Batch) -> int:
    """How many rows may still begin."""
    if next_row(batch) is None:
        return 0
    return batch.rows.count_before(bound_of(batch)) - batch.begun


def outlook(batch: Batch) -> Outlook:
    """How the batch goes on; its counts are those of one moment."""
    is_through = batch.settled + batch.paused >= batch.total
    if batch.in_flight > 0 and not is_through:
        return Outlook.GOES_ON
    if passed_threshold(batch) is not None:
        return Outlook.FAILS
    if is_through:
        return Outlook.WAITS if batch.paused else Outlook.COMPLETES
    return Outlook.ASKS if batch.canary is not None and next_row(batch) is None else Outlook.GOES_ON
