"""Retention: removes ended runs with all that belongs to them, and what nobody refers to any more.

All of it is done in small steps, each of which may be the last: what is half done is found by the next call, of this
process or of another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from rowel.core.errors import NotFound
from rowel.engine.house import House
from rowel.files.store import Stored
from rowel.files.threads import in_thread
from rowel.store import leftovers, pruning
from rowel.store.leftovers import LeftoverWrites
from rowel.store.pruning import BEGINNING, Gone, Marked, PruneWrites
from rowel.store.receipts import LIFETIME
from rowel.store.stepcache import StepCacheWrites

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Seconds after which one call has done enough.
BUDGET_S = 10.0
#: Seconds that one step should take: others who write wait for no more than one of them.
STEP_S = 0.02
#: Old runs that are found at once, and runs, files or keys that are looked at together.
AT_ONCE = 1000
TOGETHER = 100
#: Free pages that SQLite's file keeps.
SPARE_PAGES = 256
#: A file without a record may be about to get one while it is younger.
ORPHAN_AGE = timedelta(days=1)
#: So many of them are believed to be ours, whatever else is there.
MANY = 100
#: Where files lie that have records, and what a killed `rowel doctor` leaves behind.
FOLDERS = ("outputs", "datasets", "probes")


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was removed, or would be."""

    #: With the rows of batches and the runs inside of runs.
    runs: int = 0
    tasks: int = 0
    events: int = 0
    output_files: int = 0
    #: Files without a record, and pieces of files.
    orphans: int = 0
    #: Of all these files.
    bytes: int = 0
    #: Whether nothing is left to do; else another call goes on.
    is_complete: bool = True


class Stride:
    """How much one step does (runs, rows, pages), so that it takes about as long as it should."""

    def __init__(self, size: int, most: int) -> None:
        self.size = size
        self._most = most

    async def take(self, step: Awaitable[T]) -> T:
        """Do a step of this size, learn from how long it took, and let others have their turn for as long."""
        begun = _now()
        done = await step
        took = _now() - begun
        if took > STEP_S:
            self.size = max(1, self.size // 2)
        elif took < STEP_S / 2:
            self.size = min(self._most, self.size + self.size // 2 + 1)
        await asyncio.sleep(min(took, STEP_S))
        return done


class Pruning:
    """One call of retention."""

    def __init__(self, house: House, before: datetime) -> None:
        self._house = house
        self._before = before
        self._writes = PruneWrites(house.database.writer, house.database.dialect)
        self._leftovers = LeftoverWrites(house.database.writer, house.database.dialect)
        self._cached = StepCacheWrites(house.database.writer, house.database.dialect)
        self._runs, self._rows, self._pages = Stride(10, 50), Stride(50, 1000), Stride(50, 500)
        self._ends_at = _now() + BUDGET_S
        self._done = Pruned()

    async def weigh(self) -> Pruned:
        """What `run` would remove. Writes nothing."""
        after = BEGINNING
        while found := await self._read(
            lambda connection: pruning.old_runs(connection, self._before, TOGETHER, after)  # noqa: B023  # read at once
        ):
            ids = [old.id for old in found]
            self._add(await self._read(lambda connection: pruning.weigh(connection, ids)))  # noqa: B023  # read at once
            for key in await self._read(lambda connection: pruning.file_keys(connection, ids)):  # noqa: B023  # the same
                self._count(bytes=await self._size(key))
            after = found[-1]
        await self._sweep_files(is_only_asked=True)
        return self._done

    async def run(self) -> Pruned:
        """Remove what is old, for about as long as one call should take.

        Raises `Unavailable` where the store or the place of files refuses; what was removed before that stays so.
        """
        await self._finish()
        while not self._is_over() and await self._forget_old():
            pass
        if not self._is_over():
            await self._sweep_store()
            await self._sweep_files()
            await self._give_back()
        return replace(self._done, is_complete=not self._is_over())

    async def _forget_old(self) -> bool:
        """Remove the oldest runs. False where none is left that may go."""
        after, count = BEGINNING, self._done.runs
        while self._done.runs == count and not self._is_over():
            found = await self._read(
                lambda connection: pruning.old_runs(connection, self._before, AT_ONCE, after)  # noqa: B023  # read at once
            )
            if not found:
                return False
            await self._forget([old.id for old in found])
            # If none of these went, somebody began to need them meanwhile.
            after = found[-1]
        return True

    async def _forget(self, ids: Sequence[str]) -> None:
        while ids and not self._is_over():
            step, ids = ids[: self._runs.size], ids[self._runs.size :]
            self._add(await self._runs.take(self._writes.forget_old(step, self._before)))
            await self._finish()

    async def _finish(self) -> None:
        """Remove what is left of runs that are gone: what they own first, themselves last."""
        while not self._is_over():
            marked = await self._read(lambda connection: pruning.marked(connection, TOGETHER))
            if not marked:
                return
            ids = [run_id for run_id, _ in marked]
            await self._remove_pieces(ids)
            if await self._forget_owned(ids):
                continue
            await self._delete_files(marked)
            if not await self._writes.unmark(ids):
                return

    async def _forget_owned(self, ids: Sequence[str]) -> int:
        owned = await self._read(lambda connection: pruning.owned_by(connection, ids, self._runs.size))
        gone = await self._runs.take(self._writes.forget_owned(owned)) if owned else Gone()
        self._add(gone)
        return gone.runs

    async def _remove_pieces(self, run_ids: Sequence[str]) -> None:
        while not self._is_over():
            found = await self._read(lambda connection: pruning.pieces(connection, run_ids, self._rows.size))
            if not found:
                return
            self._count(tasks=await self._rows.take(self._writes.remove(found)))

    async def _delete_files(self, marked: Sequence[Marked]) -> None:
        for _, key in marked:
            if key is not None:
                self._count(bytes=await self._size(key))
                await self._house.files.delete(key)

    async def _size(self, key: str) -> int:
        try:
            return await self._house.files.size(key)
        except NotFound:
            return 0

    async def _sweep_store(self) -> None:
        now = self._house.now()
        await self._leftovers.forget_writers(now)
        await self._leftovers.forget_allowances(now)
        while await self._rows.take(self._leftovers.forget_requests(now - LIFETIME, self._rows.size)):
            pass
        while await self._rows.take(self._cached.forget_expired(now, self._rows.size)):
            pass
        while found := await self._read(
            lambda connection: leftovers.deleted_workflows(connection, self._before, TOGETHER)
        ):
            await self._leftovers.forget_workflows(found, self._before)

    async def _sweep_files(self, *, is_only_asked: bool = False) -> None:
        """Delete files that no record names, and pieces of those that were never finished."""
        files, oldest = self._house.files, self._house.now() - ORPHAN_AGE
        for folder in FOLDERS:
            for stored in await self._orphans(folder, oldest):
                self._count(orphans=1, bytes=stored.size)
                if not is_only_asked:
                    await files.delete(stored.key)
        count, size = await in_thread(files.sweep_pieces, oldest, is_only_asked=is_only_asked)
        self._count(orphans=count, bytes=size)

    async def _orphans(self, folder: str, oldest: datetime) -> list[Stored]:
        """Old files of a folder that no record names. Where they are many and most of all, they must be somebody
        else's."""
        found: list[Stored] = []
        known = 0
        listing = self._house.files.list(folder)
        while chunk := await in_thread(_take, listing, TOGETHER):
            old = {stored.key: stored for stored in chunk if stored.written_at < oldest}
            keys = await self._read(lambda connection: leftovers.without_record(connection, folder, old))  # noqa: B023  # read at once
            known += len(old) - len(keys)
            found += [old[key] for key in sorted(keys)]
        if len(found) > max(known, MANY):
            log.warning(
                "%d of %d old files in %s have no record and were left alone: does another database use this place?",
                *(len(found), len(found) + known, folder),
            )
            return []
        return found

    async def _give_back(self) -> None:
        """Make SQLite's file smaller."""
        while not self._is_over():
            spare = await self._read(leftovers.free_pages) - SPARE_PAGES
            if spare <= 0:
                return
            await self._pages.take(self._leftovers.give_back(min(spare, self._pages.size)))

    async def _read(self, query: Callable[[Connection], T]) -> T:
        return await self._house.database.read(query)

    def _is_over(self) -> bool:
        return _now() > self._ends_at

    def _add(self, gone: Gone) -> None:
        self._count(**gone._asdict())

    def _count(self, **more: int) -> None:
        self._done = replace(
            self._done, **{name: getattr(self._done, name) + count for name, count in more.items()}
        )


def _take(listing: Iterator[Stored], count: int) -> list[Stored]:
    return list(islice(listing, count))


def _now() -> float:
    return asyncio.get_running_loop().time()
