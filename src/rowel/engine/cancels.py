"""Cancels runs with everything they own."""

from __future__ import annotations

from contextlib import suppress

from rowel.core.errors import Conflict, Unavailable
from rowel.core.records import Run
from rowel.core.status import RunStatus
from rowel.engine import facts
from rowel.engine.house import House
from rowel.engine.owners import wake_owner
from rowel.engine.reads import find_run, get_changed_run
from rowel.engine.views import RunView
from rowel.store import runs
from rowel.store.journal import Decision

MESSAGE = "Canceled on request."


class Cancels:
    """The command that ends runs early."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def cancel(self, run_id: str, message: str = MESSAGE, decision: Decision | None = None) -> RunView:
        """Cancel an open run. When this returns, no task of it starts any more and running ones are interrupted.

        `message` says why; `decision` is that of a person who refuses the rest of a batch.
        Raises `NotFound`, and `Conflict` where the run has ended, or the pause was answered already.
        """
        run = await find_run(self._house, run_id)
        if run.status.is_final:
            raise _ended(run)
        owned = await self._owned(run)
        movers = self._house.dispatch.under([run.id, *(child.id for child in owned)])
        for mover in movers:
            mover.shut()
        landed = False
        try:
            landed = await self._write(run, owned, message, decision)
        finally:
            for mover in movers:
                if landed:
                    mover.stop()
                else:
                    mover.reopen()
        if not landed:
            raise _ended(await find_run(self._house, run_id))
        await self._cancel_owned_late(run, message)
        return await get_changed_run(self._house, run_id)

    async def cancel_owned(self, owner: Run, message: str) -> None:
        """Cancel what a run owns: it is about to end, and nobody would move the others any more."""
        for child in await self._owned(owner):
            if child.owner_id == owner.id:
                with suppress(Conflict):
                    await self.cancel(child.id, message)

    async def _owned(self, run: Run) -> list[Run]:
        return await self._house.database.read(lambda connection: runs.open_owned(connection, run.id))

    async def _write(
        self, run: Run, owned: list[Run], message: str, decision: Decision | None = None
    ) -> bool:
        told = [facts.of_run(run, RunStatus.CANCELED, message)]
        now = self._house.now() if decision is None else decision.time
        seq = await self._house.journal.cancel(
            run, owned, message=message, time=now, facts=told, decision=decision
        )
        if seq is None:
            return False
        self._house.publish(run.id, seq, told)
        for child in owned:
            self._house.wakeups.publish(child.id, [])
        return True

    async def _cancel_owned_late(self, run: Run, message: str) -> None:
        """Rows and children that were on their way into the store while their owner was canceled. Where the store is
        lost meanwhile, the next look for orphans finds them."""
        with suppress(Unavailable):
            for child in await self._owned(run):
                await self.cancel_late(child, message)
            await wake_owner(self._house, run)

    async def cancel_late(self, run: Run, message: str = MESSAGE) -> None:
        """Cancel a run whose owner has ended."""
        if await self._write(run, [], message):
            for mover in self._house.dispatch.under([run.id]):
                mover.stop()


def _ended(run: Run) -> Conflict:
    return Conflict(f"Run {run.id} is {run.status} and can't be canceled.", "already_ended")
