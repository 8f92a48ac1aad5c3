"""The seam between accepting runs and moving them: here they move in this process."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from rowel.core.errors import Busy, Unavailable
from rowel.core.limits import Limit
from rowel.core.records import Run, RunID

log = logging.getLogger(__name__)


class Mover(Protocol):
    """Moves one run: a `Runner`, or a batch's."""

    run: Run

    async def drive(self) -> Run: ...

    def poke(self) -> None: ...

    def shut(self) -> None: ...

    def reopen(self) -> None: ...

    def stop(self) -> None: ...

    def drain(self) -> None: ...


class LocalDispatch:
    """Moves runs in this process, at most `slots` at a time; more of them wait their turn."""

    def __init__(
        self,
        take: Callable[[RunID], Awaitable[Mover | None]],
        rested: Callable[[Run], Awaitable[None]],
        *,
        slots: int = 256,
        queue_limit: int = 10_000,
        grace_s: float = 25.0,
    ) -> None:
        """`take` takes a run over and makes its mover (None: there is nothing to do); `rested` hears of each end.
        `grace_s` is what running tasks get to end when the process is asked to."""
        self._take = take
        self._rested = rested
        self._slots = slots
        self._queue_limit = queue_limit
        self._grace_s = grace_s
        self._queue: deque[tuple[RunID, Mover | None]] = deque()
        self._queued: set[RunID] = set()
        self._moving = 0
        #: Runs that have a slot, and those of them that let others have it while they wait.
        self._slotted: set[RunID] = set()
        self._aside: set[RunID] = set()
        self._live: dict[RunID, Mover] = {}
        self._poked: set[RunID] = set()
        self._waiting: dict[RunID, list[asyncio.Future[Run]]] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._is_draining = False

    def check_room(self) -> None:
        """Raise `Busy` where the queue is full, `Unavailable` where the process is about to end."""
        if self._is_draining:
            raise Unavailable("The server is shutting down; nothing was started. Try again in a moment.")
        if (waiting := len(self._queue) + len(self._aside)) >= self._queue_limit:
            raise Busy(f"{waiting} runs are queued already, which is the limit; try again later.")

    @property
    def moving(self) -> int:
        """How many runs move in this process."""
        return len(self._live)

    async def waiting(self) -> int:
        """How many runs wait for their turn."""
        return len(self._queue)

    def has_slot(self) -> bool:
        """Whether a run submitted now would move at once."""
        return self._moving < self._slots and not self._queue and not self._is_draining

    def submit(self, run_id: RunID, mover: Mover | None = None) -> None:
        """Move this run when its turn comes. `mover` is given where its run needs no taking over."""
        if run_id in self._live or run_id in self._queued:
            self.poke(run_id)
            return
        self._queue.append((run_id, mover))
        self._queued.add(run_id)
        self._pump()

    def spawn(self, run_id: RunID, mover: Mover | None = None) -> None:
        """Move this run now, whatever the slots: somebody who holds a slot waits for it."""
        waiting = next((entry for entry in self._queue if entry[0] == run_id), None)
        if waiting is not None:
            self._queue.remove(waiting)
            mover = waiting[1]
        elif run_id in self._live or run_id in self._queued:
            self.poke(run_id)
            return
        if not self._is_draining:
            self._queued.add(run_id)
            self._start(run_id, mover, takes_slot=False)

    async def admit(self, run: Run, limit: Limit) -> bool:
        """Whether this run may be taken over now. Here it waits for its place afterwards."""
        return True

    def is_inside(self, run_id: RunID) -> bool:
        """Whether the run has its place among those of its workflow already."""
        return False

    def set_aside(self, run_id: RunID) -> None:
        """The run waits, and its slot may be another's meanwhile."""
        if run_id in self._slotted:
            self._aside.add(run_id)
            self._moving -= 1
            self._pump()

    def take_back(self, run_id: RunID) -> None:
        """The run goes on; for a moment more than `slots` may move."""
        if run_id in self._aside:
            self._aside.discard(run_id)
            self._moving += 1

    def poke(self, run_id: RunID) -> None:
        """The store has news about this run: move it if nobody does."""
        mover = self._live.get(run_id)
        if mover is not None:
            mover.poke()
        elif run_id in self._queued:
            self._poked.add(run_id)
        else:
            self.submit(run_id)

    def remind(self, run_id: RunID, signals: int) -> None:
        """The store shows this run with work, and with so many signals: move it if nobody does, and let its mover look
        if it has missed some of them."""
        mover = self._live.get(run_id)
        if mover is None and run_id not in self._queued:
            self.submit(run_id)
        elif mover is not None and mover.run.signals < signals:
            mover.poke()

    def wake(self, run: Run) -> None:
        """Let the run's mover look at the store again. A row that rests is taken up by its batch and by nobody else."""
        is_resting_row = run.row_index is not None and not self.is_live(run.id)
        self.poke(run.owner_id if is_resting_row and run.owner_id else run.id)

    def enter(self, run_id: RunID, mover: Mover) -> None:
        """A batch moves this row itself; pokes and cancels find it here."""
        self._go_live(run_id, mover)

    def leave(self, run_id: RunID) -> None:
        self._live.pop(run_id, None)

    def is_live(self, run_id: RunID) -> bool:
        return run_id in self._live or run_id in self._queued

    def under(self, run_ids: Iterable[RunID]) -> list[Mover]:
        """The movers of these runs and of all that they own."""
        owners = set(run_ids)
        found: dict[RunID, Mover] = {}
        while True:
            new = {
                run_id: mover
                for run_id, mover in self._live.items()
                if run_id not in found and (run_id in owners or mover.run.owner_id in owners)
            }
            if not new:
                return list(found.values())
            found |= new
            owners |= new.keys()

    def wait(self, run_id: RunID) -> asyncio.Future[Run]:
        """A future that is done when this run next comes to rest in this process."""
        future: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run_id, []).append(future)
        return future

    def forget(self, run_id: RunID, future: asyncio.Future[Run]) -> None:
        """Nobody waits for this future any more."""
        waiting = self._waiting.get(run_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(run_id, None)

    async def close(self, *, at_once: bool = False) -> None:
        """Start nothing more, let running tasks end within the grace (`at_once`: without), then interrupt them. Runs
        stay open."""
        self._is_draining = True
        while self._queue:
            run_id, _ = self._queue.popleft()
            self._queued.discard(run_id)
            self._resolve(run_id, None, None)
        for mover in list(self._live.values()):
            mover.drain()
        if self._work:
            _, late = await asyncio.wait(self._work, timeout=0 if at_once else self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _pump(self) -> None:
        while self._queue and self._moving < self._slots and not self._is_draining:
            run_id, mover = self._queue.popleft()
            self._moving += 1
            self._slotted.add(run_id)
            self._start(run_id, mover, takes_slot=True)

    def _start(self, run_id: RunID, mover: Mover | None, *, takes_slot: bool) -> None:
        if mover is not None:
            self._go_live(run_id, mover)
        task = asyncio.ensure_future(self._move(run_id, mover, takes_slot=takes_slot))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _go_live(self, run_id: RunID, mover: Mover) -> None:
        self._live[run_id] = mover
        self._queued.discard(run_id)
        if run_id in self._poked:
            self._poked.discard(run_id)
            mover.poke()
        if self._is_draining:
            mover.drain()

    async def _move(self, run_id: RunID, mover: Mover | None, *, takes_slot: bool) -> None:
        run: Run | None = None
        error: Exception | None = None
        try:
            if mover is None and (mover := await self._take(run_id)) is not None:
                self._go_live(run_id, mover)
            if mover is not None:
                run = await mover.drive()
        except Unavailable as refusal:
            log.info("run %s could not begin: %s", run_id, refusal)
            error = refusal
        except Exception as problem:
            log.exception("run %s could not be moved", run_id)
            error = problem
        finally:
            self._live.pop(run_id, None)
            self._queued.discard(run_id)
            if takes_slot:
                self._slotted.discard(run_id)
                self._moving -= 1
            self._resolve(run_id, run, error)
            self._after(run_id)
        if run is not None:
            await self._tell(run)

    async def _tell(self, run: Run) -> None:
        """Who pokes the run meanwhile finds it at rest, and has it moved anew."""
        try:
            await self._rested(run)
        except Exception:
            log.exception("who waits for run %s could not be told of its rest", run.id)

    def _resolve(self, run_id: RunID, run: Run | None, error: Exception | None) -> None:
        for future in self._waiting.pop(run_id, ()):
            if future.done():
                continue
            if run is not None:
                future.set_result(run)
            else:
                future.set_exception(error or Unavailable("The run could not be moved; it stays queued."))

    def _after(self, run_id: RunID) -> None:
        if run_id in self._poked and not self._is_draining:
            self._poked.discard(run_id)
            self.submit(run_id)
        self._pump()
