"""Who moves which run, and when."""

from __future__ import annotations

import asyncio

import pytest

from rowel.core.errors import Busy, Unavailable
from rowel.core.records import Run, RunID
from rowel.core.status import RunStatus
from rowel.engine.dispatch import LocalDispatch
from tests.support.ledger import make_run


class FakeMover:
    """Moves until it is told to end."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.begun = asyncio.Event()
        self.told = asyncio.Event()
        self.pokes = 0
        self.words: list[str] = []

    async def drive(self) -> Run:
        self.begun.set()
        await self.told.wait()
        return self.run.evolve(status=RunStatus.COMPLETED)

    def poke(self) -> None:
        self.pokes += 1

    def shut(self) -> None:
        self.words.append("shut")

    def reopen(self) -> None:
        self.words.append("reopen")

    def stop(self) -> None:
        self.words.append("stop")
        self.told.set()

    def drain(self) -> None:
        self.words.append("drain")
        self.told.set()


class Yard:
    """A dispatch with fake movers."""

    def __init__(self, *, slots: int = 2, queue_limit: int = 3) -> None:
        self.taken: list[RunID] = []
        self.rested: list[RunID] = []
        self.movers: dict[RunID, FakeMover] = {}
        self.dispatch = LocalDispatch(self._take, self._hear, slots=slots, queue_limit=queue_limit)

    def mover(self, **fields: object) -> FakeMover:
        made = FakeMover(make_run(**fields))
        self.movers[made.run.id] = made
        return made

    async def _take(self, run_id: RunID) -> FakeMover | None:
        self.taken.append(run_id)
        return self.movers.get(run_id)

    async def _hear(self, run: Run) -> None:
        self.rested.append(run.id)


async def test_runs_move_in_slots_and_the_others_wait_their_turn() -> None:
    yard = Yard(slots=2)
    movers = [yard.mover() for _ in range(3)]
    for one in movers:
        yard.dispatch.submit(one.run.id, one)
    await asyncio.gather(movers[0].begun.wait(), movers[1].begun.wait())
    assert not movers[2].begun.is_set()
    movers[0].told.set()
    await movers[2].begun.wait()
    await yard.dispatch.close()
    assert yard.rested[0] == movers[0].run.id


async def test_a_run_that_is_submitted_twice_moves_once_and_is_poked() -> None:
    yard = Yard()
    one = yard.mover()
    yard.dispatch.submit(one.run.id, one)
    yard.dispatch.submit(one.run.id)
    await one.begun.wait()
    assert one.pokes == 1
    assert yard.taken == []
    await yard.dispatch.close()


async def test_a_run_without_a_mover_is_taken_over() -> None:
    yard = Yard()
    one = yard.mover()
    yard.dispatch.submit(one.run.id)
    await one.begun.wait()
    assert yard.taken == [one.run.id]
    await yard.dispatch.close()


async def test_a_poke_moves_a_run_that_nobody_moves() -> None:
    yard = Yard()
    one = yard.mover()
    yard.dispatch.poke(one.run.id)
    await one.begun.wait()
    await yard.dispatch.close()


async def test_whoever_waits_hears_how_the_run_rests() -> None:
    yard = Yard()
    one = yard.mover()
    rested = yard.dispatch.wait(one.run.id)
    yard.dispatch.submit(one.run.id, one)
    await one.begun.wait()
    one.told.set()
    assert (await rested).status is RunStatus.COMPLETED
    await yard.dispatch.close()


async def test_a_full_queue_is_busy() -> None:
    yard = Yard(slots=1, queue_limit=2)
    for _ in range(3):
        one = yard.mover()
        yard.dispatch.check_room()
        yard.dispatch.submit(one.run.id, one)
    with pytest.raises(Busy, match="2 runs are queued"):
        yard.dispatch.check_room()
    await yard.dispatch.close()


async def test_a_slot_is_free_only_while_nobody_queues() -> None:
    yard = Yard(slots=1)
    assert yard.dispatch.has_slot()
    one = yard.mover()
    yard.dispatch.submit(one.run.id, one)
    assert not yard.dispatch.has_slot()
    await yard.dispatch.close()
    assert not yard.dispatch.has_slot()


async def test_movers_are_found_with_all_that_their_runs_own() -> None:
    yard = Yard(slots=5)
    root = yard.mover()
    child = yard.mover(owner_id=root.run.id)
    grandchild = yard.mover(owner_id=child.run.id)
    stranger = yard.mover()
    for one in (root, child, grandchild, stranger):
        yard.dispatch.submit(one.run.id, one)
    await stranger.begun.wait()
    assert {one.run.id for one in yard.dispatch.under([root.run.id])} == {
        root.run.id,
        child.run.id,
        grandchild.run.id,
    }
    await yard.dispatch.close()


async def test_a_row_that_its_batch_moves_is_found_and_poked_here() -> None:
    yard = Yard()
    row = yard.mover()
    yard.dispatch.enter(row.run.id, row)
    yard.dispatch.poke(row.run.id)
    assert row.pokes == 1
    assert yard.dispatch.is_live(row.run.id)
    yard.dispatch.leave(row.run.id)
    assert not yard.dispatch.is_live(row.run.id)
    await yard.dispatch.close()


async def test_closing_drains_what_moves_and_refuses_what_is_new() -> None:
    yard = Yard(slots=1)
    moving, queued = yard.mover(), yard.mover()
    yard.dispatch.submit(moving.run.id, moving)
    yard.dispatch.submit(queued.run.id, queued)
    await moving.begun.wait()
    await yard.dispatch.close()
    assert moving.words == ["drain"]
    assert not queued.begun.is_set()
    with pytest.raises(Unavailable, match="shutting down"):
        yard.dispatch.check_room()


async def test_a_mover_is_reminded_of_what_it_has_missed_and_of_nothing_else() -> None:
    yard = Yard()
    one = yard.mover(signals=2)
    yard.dispatch.submit(one.run.id, one)
    await one.begun.wait()
    yard.dispatch.remind(one.run.id, 2)
    assert one.pokes == 0
    yard.dispatch.remind(one.run.id, 3)
    assert one.pokes == 1
    await yard.dispatch.close()


async def test_a_run_that_nobody_moves_is_reminded_by_being_moved_and_a_queued_one_waits() -> None:
    yard = Yard(slots=1)
    one, other = yard.mover(), yard.mover()
    for run_id in (one.run.id, other.run.id, other.run.id):
        yard.dispatch.remind(run_id, 0)
    await one.begun.wait()
    assert not other.begun.is_set()
    one.told.set()
    await other.begun.wait()
    assert other.pokes == 0
    await yard.dispatch.close()


async def test_closing_at_once_gives_nobody_time() -> None:
    yard = Yard()

    class Stubborn(FakeMover):
        def drain(self) -> None:
            """Go on."""

    one = Stubborn(make_run())
    yard.dispatch.submit(one.run.id, one)
    await one.begun.wait()
    async with asyncio.timeout(10):
        await yard.dispatch.close(at_once=True)
