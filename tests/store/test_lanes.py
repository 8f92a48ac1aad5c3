"""Lanes claim rows of a batch: every row once, and only who holds the lane now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rowel.core.records import Run, RunID
from rowel.core.status import RunStatus, RunType
from rowel.store import lanes
from rowel.store.journal import Changes, Fence
from rowel.store.lanes import Lane, LaneWrites
from tests.support.ledger import Ledger, make_run, rest


@pytest.fixture
async def ledger(postgres_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def batch(ledger: Ledger) -> Run:
    return await ledger.batch(total=100)


@pytest.fixture
def writes(ledger: Ledger) -> LaneWrites:
    return LaneWrites(ledger.database.writer, ledger.database.dialect)


async def taken(writes: LaneWrites, batch_id: RunID, number: int = 0) -> Lane:
    await writes.open(batch_id, number)
    lane = await writes.take(batch_id, number)
    assert lane is not None
    return lane


async def count(ledger: Ledger, batch_id: RunID) -> int:
    return await ledger.database.read(lambda connection: lanes.count(connection, batch_id))


async def test_a_lane_is_made_once(ledger: Ledger, writes: LaneWrites, batch: Run) -> None:
    assert await writes.open(batch.id, 0)
    assert not await writes.open(batch.id, 0)
    assert await writes.open(batch.id, 1)
    assert await count(ledger, batch.id) == 2


async def test_a_batch_that_has_ended_gets_no_lane(ledger: Ledger, writes: LaneWrites, batch: Run) -> None:
    assert await ledger.journal.rest(batch, Changes(), rest(RunStatus.CANCELED)) == 0
    assert not await writes.open(batch.id, 0)


async def test_claims_follow_on_each_other_up_to_the_bound(writes: LaneWrites, batch: Run) -> None:
    lane = await taken(writes, batch.id)
    claims = []
    while (claimed := await writes.claim(lane, 30, 100)) is not None:
        claims.append((claimed.start, claimed.stop))
        lane = claimed._replace(start=claimed.stop)
    assert claims == [(0, 30), (30, 60), (60, 90), (90, 100)]


async def test_a_bound_before_the_end_holds_until_it_is_moved(writes: LaneWrites, batch: Run) -> None:
    lane = await taken(writes, batch.id)
    claimed = await writes.claim(lane, 30, 10)
    assert claimed is not None
    assert (claimed.start, claimed.stop) == (0, 10)
    done = claimed._replace(start=10)
    assert await writes.claim(done, 30, 10) is None
    more = await writes.claim(done, 30, 50)
    assert more is not None
    assert (more.start, more.stop) == (10, 40)


async def test_rows_that_are_not_to_run_are_passed_over_but_none_twice(
    ledger: Ledger, writes: LaneWrites, batch: Run
) -> None:
    lane = await taken(writes, batch.id)
    claimed = await writes.claim(lane, 5, 100, first=40)
    assert claimed is not None
    assert (claimed.start, claimed.stop) == (40, 45)
    assert (await ledger.counts(batch.id)).cursor == 45
    # Who read the batch before says an older row.
    more = await writes.claim(claimed._replace(start=45), 5, 48, first=7)
    assert more is not None
    assert (more.start, more.stop) == (45, 48)


async def test_a_lane_with_rows_left_claims_no_more(writes: LaneWrites, batch: Run) -> None:
    lane = await taken(writes, batch.id)
    claimed = await writes.claim(lane, 30, 100)
    assert claimed is not None
    assert await writes.claim(claimed, 30, 100) is None


async def test_of_lanes_that_claim_at_once_no_two_get_the_same_row(ledger: Ledger, batch: Run) -> None:
    others = [Ledger(ledger.url) for _ in range(3)]
    hands = [LaneWrites(other.database.writer, other.database.dialect) for other in others]
    claimed: list[int] = []

    async def work(writes: LaneWrites, number: int) -> None:
        lane = await taken(writes, batch.id, number)
        while (found := await writes.claim(lane, 3, 100)) is not None:
            claimed.extend(range(found.start, found.stop))
            lane = found._replace(start=found.stop)

    await asyncio.gather(*(work(hands[number % 3], number) for number in range(9)))
    for other in others:
        await other.close()
    assert sorted(claimed) == list(range(100))


async def test_whoever_takes_a_lane_over_fences_off_its_former_worker(
    ledger: Ledger, writes: LaneWrites, batch: Run
) -> None:
    first = await taken(writes, batch.id)
    second = await writes.take(batch.id, 0)
    assert second is not None
    assert second.epoch == first.epoch + 1
    assert await writes.claim(first, 10, 100) is None
    assert not await writes.keep(first)
    assert not await writes.close(first)
    assert await writes.claim(second, 10, 100) is not None
    assert await writes.close(second)
    assert await writes.take(batch.id, 0) is None
    assert await count(ledger, batch.id) == 0


async def test_a_row_begins_only_in_the_hands_of_the_lanes_worker(
    ledger: Ledger, writes: LaneWrites, batch: Run
) -> None:
    first = await taken(writes, batch.id)
    row = row_of(batch, 0)
    assert await ledger.journal.begin(row, Changes(), fence=Fence(0, first.epoch))
    assert not await ledger.journal.begin(row_of(batch, 0), Changes(), fence=Fence(0, first.epoch))
    await writes.take(batch.id, 0)
    late = row_of(batch, 1)
    assert not await ledger.journal.begin(late, Changes(), fence=Fence(0, first.epoch))
    assert await ledger.scalar("SELECT count(*) FROM runs WHERE row_index IS NOT NULL") == 1


def row_of(batch: Run, index: int) -> Run:
    return make_run(owner_id=batch.id, parent_run_id=batch.id, row_index=index, run_type=RunType.BATCH)
