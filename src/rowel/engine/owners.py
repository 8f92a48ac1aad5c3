"""Wakes whoever moves a run, and whoever waits for it."""

from __future__ import annotations

from rowel.core.records import Run
from rowel.engine.house import House
from rowel.store import runs


def wake(house: House, run: Run) -> None:
    """Let the run's mover look at the store again. A row that rests is taken up by its batch and by nobody else."""
    is_resting_row = run.row_index is not None and not house.dispatch.is_live(run.id)
    house.dispatch.poke(run.owner_id if is_resting_row and run.owner_id else run.id)


async def wake_owner(house: House, run: Run) -> None:
    """The same for the run, or the batch, that waits for this one."""
    if run.owner_id is None:
        return
    owner_id = run.owner_id
    owner = await house.database.read(lambda connection: runs.get(connection, owner_id))
    if owner is not None and not owner.status.is_final:
        wake(house, owner)
