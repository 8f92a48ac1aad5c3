"""Wakes whoever waits for a run."""

from __future__ import annotations

from rowel.core.records import Run
from rowel.engine.house import House
from rowel.store import runs


async def wake_owner(house: House, run: Run) -> None:
    """Let the mover of the run, or of the batch, that waits for this one look at the store again."""
    if run.owner_id is None:
        return
    owner_id = run.owner_id
    owner = await house.database.read(lambda connection: runs.get(connection, owner_id))
    if owner is not None and not owner.status.is_final:
        house.dispatch.wake(owner)
