"""Rows of an ended batch, run again as a new batch whose output holds all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rowel.core.errors import Conflict, Invalid
from rowel.core.records import Batch, Dataset, Run
from rowel.core.selections import Selection
from rowel.core.signatures import signature_of
from rowel.core.status import RunStatus
from rowel.engine.batches import Batches, BatchWish, Part
from rowel.engine.house import House
from rowel.engine.once import Once
from rowel.engine.reads import find_dataset, get_run
from rowel.engine.reruns import pinned_again
from rowel.engine.standings import find_batch
from rowel.engine.views import RunView
from rowel.store import runs

#: Rows that are read at a time.
CHUNK = 2000


class Kind(StrEnum):
    """Which rows run again, where they are not named."""

    #: Those that FAILED.
    FAILED = "failed"
    #: Those that the batch was to run and that did not complete: failed, canceled, or never begun.
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Redrive:
    """What somebody wants to be run again: rows by their numbers, of a kind, or that failed for one cause."""

    rows: Sequence[int] | Kind = Kind.FAILED
    cause: str | None = None
    version: int | str = "same"
    #: The rows don't ask the step cache.
    fresh: bool = False


class Redrives:
    """The command that repeats rows of batches."""

    def __init__(self, house: House, batches: Batches) -> None:
        self._house = house
        self._batches = batches

    async def redrive(self, run_id: str, wish: Redrive, *, once: Once | None = None) -> RunView:
        """Accept a batch in which only these rows run. The old one stays as it ended.

        It has the old one's `column_map` and window, and neither threshold nor canary. Raises `NotFound`, `Conflict`
        where the old one is open, `Invalid` where no row is wished for or one doesn't exist, and `InvalidInputs` where
        the dataset doesn't fit the version.
        """
        run, batch = await find_batch(self._house, run_id)
        if not run.status.is_final:
            raise Conflict(f"The batch {run.id} is {run.status}; wait until it has ended.", "still_open")
        dataset = await find_dataset(self._house, batch.dataset_id)
        pinned = await pinned_again(self._house.workflows, await get_run(self._house, run_id), wish.version)
        selection = await self._selection(run, batch, dataset, wish)
        again = BatchWish(window=batch.window, column_map=batch.column_map, fresh=wish.fresh)
        part = Part(origin_id=run.id, selection=selection)
        return await self._batches.accept(pinned, dataset, again, part, once=once)

    async def _selection(self, run: Run, batch: Batch, dataset: Dataset, wish: Redrive) -> Selection:
        if wish.cause is not None:
            found = await self._rows(run, RunStatus.FAILED, lambda why: signature_of(why) == wish.cause)
            return _some(found, f"No row of the batch {run.id} failed for this cause; see its `causes`.")
        if wish.rows is Kind.FAILED:
            return _some(await self._rows(run, RunStatus.FAILED), f"No row of the batch {run.id} failed.")
        if wish.rows is Kind.UNFINISHED:
            done = set(await self._rows(run, RunStatus.COMPLETED))
            left = Selection.of(row for row in batch.rows if row not in done)
            return _some(left, f"Every row of the batch {run.id} is COMPLETED.")
        strange = next((row for row in wish.rows if not 0 <= row < dataset.rows), None)
        if strange is not None:
            raise Invalid(
                f"rows: the dataset {dataset.id} has no row {strange}; its rows are 0 to {dataset.rows - 1}."
            )
        return _some(Selection.of(wish.rows), "rows: at least one row must be named.")

    async def _rows(
        self, run: Run, status: RunStatus, fits: Callable[[str | None], bool] = lambda _: True
    ) -> Selection:
        """The rows that ended like this and whose message fits, read a few at a time."""
        rows: list[int] = []
        after = -1
        while found := await self._house.database.read(
            lambda connection: runs.rows_that(connection, run.id, status, after, CHUNK)  # noqa: B023  # read at once
        ):
            rows += [row for row, message in found if fits(message)]
            after = found[-1][0]
        return Selection.of(rows)


def _some(selection: Selection, why_not: str) -> Selection:
    if not selection:
        raise Invalid(f"{why_not} Nothing was started.")
    return selection
