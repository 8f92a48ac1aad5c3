"""Moves one run: executes its tasks concurrently and journals. Knows neither SQL nor HTTP.

Each turn of the loop takes in what has happened, lets pure nodes run ahead, writes all of it as one group, and only
when that group landed starts the nodes with effects. A group that does not land means that the run was given work from
outside (then it is read again), or that it is no longer ours (then the runner ends without a trace).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from rowel.core.errors import Invalid, NotFound
from rowel.core.outcomes import Done, Failure, Outcome, StartChild
from rowel.core.records import Receipt, Run
from rowel.core.status import RunStatus
from rowel.engine import facts
from rowel.engine.clock import Clock
from rowel.engine.execute import attempt
from rowel.engine.frames import Frame
from rowel.engine.observer import PLACE, Observer
from rowel.engine.observer import Place as Working
from rowel.engine.patience import until_back
from rowel.engine.places import Places
from rowel.engine.progress import Answer, Place, Progress
from rowel.engine.stepcache import StepCache
from rowel.engine.wakeups import Wakeups
from rowel.nodes.base import Node
from rowel.nodes.context import Services
from rowel.store.journal import Changes, Fence, Journal, Rest, numbered

#: Tasks after which a group is written although more pure nodes could run ahead.
GROUP_SIZE = 500

T = TypeVar("T")


class News(NamedTuple):
    """The store's view of the run, read again."""

    run: Run
    answers: Sequence[Answer]


ReadNews = Callable[[Run, list[str], list[str]], Awaitable[News | None]]


@dataclass(frozen=True)
class Means:
    """What every runner works with."""

    journal: Journal
    services: Services
    clock: Clock
    wakeups: Wakeups
    #: Starts a child run for a waiting task, unless it is there already.
    start_child: Callable[[Run, str, StartChild], Awaitable[None]]
    #: Reads the run again, and what became of its tasks that wait for people and for child runs (by path).
    read_news: ReadNews
    cache: StepCache
    places: Places
    observer: Observer | None = None


class Runner:
    """One run while it moves."""

    def __init__(
        self,
        means: Means,
        run: Run,
        root: Frame,
        *,
        is_new: bool = False,
        fence: Fence | None = None,
        cursor: int | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        """`is_new`: the run has no row yet; the first group makes it, if the lane of `fence` is still ours, with the
        `receipt` of the request that starts it. `cursor` is that of the batch before this row."""
        self.run = run
        self.progress = Progress(run, root, means.services, means.clock)
        self._means = means
        self._is_new = is_new
        self._fence = fence
        self._cursor = cursor
        self._receipt = receipt
        #: Set once the run is in the store.
        self.kept = asyncio.Event()
        if not is_new:
            self.kept.set()
        self._running: dict[str, asyncio.Task[None]] = {}
        #: Those of the running that only wait for a retry's time.
        self._sleepers: set[asyncio.Task[None]] = set()
        self._entering: asyncio.Task[AsyncExitStack] | None = None
        self._happened: deque[tuple[Place, Outcome]] = deque()
        self._news = asyncio.Event()
        self._is_poked = False
        self._gate = asyncio.Event()
        self._gate.set()
        self._is_stopped = False
        self._is_draining = False
        #: What went wrong here, not in a node: the run is to be taken up anew.
        self._trouble: Exception | None = None

    async def drive(self) -> Run:
        """Move the run until it rests, is taken away or is stopped. Return it as last known.

        Raises whatever keeps it from moving on; the run stays as it is in the store.
        """
        place = await self._enter()
        if place is None:
            return self.run
        before = PLACE.set(Working(self.run.id))
        try:
            while not self._is_stopped:
                self._take_in()
                self.progress.run_ahead(GROUP_SIZE, only_pure=self._is_draining)
                if not await self._write() or not self._is_moving():
                    break
                self._launch()
                if not self.progress.ready:
                    await self._next()
        finally:
            await self._end_tasks()
            await place.aclose()
            PLACE.reset(before)
        return self.run

    async def _enter(self) -> AsyncExitStack | None:
        """Wait for a place among the runs of the workflow. None where the run was stopped meanwhile."""
        limit = self.progress.root.program.limit
        if limit.at_once is None:
            return AsyncExitStack()
        self._entering = asyncio.ensure_future(self._means.places.enter(self.run, limit))
        try:
            return await self._entering
        except asyncio.CancelledError:
            if self._is_stopped or self._is_draining:
                return None
            raise

    def poke(self) -> None:
        """The store has news about this run."""
        self._is_poked = True
        self._news.set()

    def shut(self) -> None:
        """Write nothing and start nothing until `reopen` or `stop`."""
        self._gate.clear()

    def reopen(self) -> None:
        self._gate.set()

    def stop(self) -> None:
        """The run has ended without us: interrupt its tasks and drop what they return."""
        self._is_stopped = True
        if self._entering is not None:
            self._entering.cancel()
        for task in self._running.values():
            task.cancel()
        self._gate.set()
        self._news.set()

    def drain(self) -> None:
        """Start no more tasks with effects; end when the running ones have ended."""
        self._is_draining = True
        if self._entering is not None:
            self._entering.cancel()
        for sleeper in self._sleepers:
            sleeper.cancel()
        self._news.set()

    async def _end_tasks(self) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_moving(self) -> bool:
        if self._is_draining:
            return bool(self._running or self._happened or self._is_poked)
        if self.run.status.is_final:
            return False
        return self.progress.status is RunStatus.RUNNING or self._is_poked

    def _take_in(self) -> None:
        while self._happened:
            self.progress.settle(*self._happened.popleft())

    def _launch(self) -> None:
        """Start what may start now that its RUNNING has landed."""
        if self._is_draining or self._is_stopped:
            return
        progress = self.progress
        for place in _taken(progress.starting):
            self._spawn(place.path, self._execute(place))
        for place, wish in _taken(progress.children):
            progress.waiting[place.path] = place
            self._spawn(place.path, self._call_child(place, wish))
        for place, moment in _taken(progress.sleeping):
            sleeper = self._spawn(place.path, self._sleep(place, moment))
            self._sleepers.add(sleeper)
            sleeper.add_done_callback(self._sleepers.discard)

    def _spawn(self, path: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running[path] = task
        task.add_done_callback(lambda done: self._forget(path, done))
        return task

    def _forget(self, path: str, task: asyncio.Task[None]) -> None:
        if self._running.get(path) is task:
            del self._running[path]
        self._news.set()

    async def _next(self) -> None:
        """Wait until a task ended or has something to tell, or somebody poked."""
        progress = self.progress
        while not (self._happened or self._is_poked or self._is_stopped or progress.ready or progress.size):
            if self._is_draining and not self._running:
                return
            self._news.clear()
            await self._news.wait()
            if self._trouble is not None:
                raise self._trouble
        if self._is_poked and not self._is_stopped:
            await self._read_news()

    async def _execute(self, place: Place) -> None:
        node, inputs = place.frame.program.nodes[place.node_id], place.task.inputs or {}
        cache = self._means.cache
        key = cache.key_of(node, inputs)
        if key is not None and (found := await cache.find(key, self.run)) is not None:
            self.progress.spare(place)
            self._tell(place, Done(found))
            return
        context = self.progress.context(place)
        PLACE.set(Working(self.run.id, context.task_id, place.node_id, context.attempt))
        outcome = await attempt(node, inputs, context, partial(self._tell_wait, place))
        self.progress.spent(place, context)
        if key is not None and isinstance(outcome, Done) and outcome.routes is None:
            self._keep(place, node, key, outcome)
        self._tell(place, outcome)

    def _keep(self, place: Place, node: Node[Any], key: str, done: Done) -> None:
        entry = self._means.cache.entry(node, key, done.outputs)
        if entry is not None:
            self.progress.keep(place, entry)

    def _tell_wait(self, place: Place, why: str) -> None:
        self.progress.tell_wait(place, why)
        self._news.set()

    def _tell(self, place: Place, outcome: Outcome) -> None:
        self._happened.append((place, outcome))
        self._news.set()

    async def _sleep(self, place: Place, moment: datetime) -> None:
        await self._means.clock.sleep_until(moment)
        self.progress.begin_again(place)
        self._news.set()

    async def _call_child(self, place: Place, wish: StartChild) -> None:
        try:
            await until_back(lambda: self._means.start_child(self.run, place.path, wish))
        except (Invalid, NotFound) as error:
            self.progress.waiting.pop(place.path, None)
            self._tell(place, Failure(error.message))
        except Exception as error:
            self._trouble = error
            self._news.set()
        else:
            self.poke()

    async def _write(self) -> bool:
        """Write what this turn changed. False where the run is no longer ours."""
        await self._gate.wait()
        if self._is_stopped:
            return False
        rest = self._rest()
        changes = self.progress.collect()
        if self._is_new:
            return await self._write_new(changes, rest)
        if rest is not None:
            return await self._write_rest(changes, rest)
        return await self._write_on(changes)

    def _rest(self) -> Rest | None:
        """How the run rests after this turn; None while it moves."""
        status = self.progress.status
        if status is RunStatus.RUNNING or self._happened or self._is_poked:
            return None
        return Rest(
            status=status,
            message=self.progress.message if status.is_final else None,
            end_time=self.progress.now() if status.is_final else None,
            signals=self.run.signals,
        )

    async def _write_new(self, changes: Changes, rest: Rest | None) -> bool:
        run = self.run.evolve(status=RunStatus.RUNNING)
        told = [facts.of_run(run, RunStatus.RUNNING), *changes.facts]
        if rest is not None:
            run = _rested(run, rest)
            told.append(facts.of_run(run, rest.status, rest.message))
        changes = replace(changes, facts=told, receipt=self._receipt)
        is_row = run.row_index is not None
        if not await self._means.journal.begin(
            run, changes, persistent=is_row, fence=self._fence, cursor=self._cursor
        ):
            return False
        self._is_new = False
        self.kept.set()
        self._landed(run, len(told), changes)
        return True

    async def _write_on(self, changes: Changes) -> bool:
        status = self._status_to_write()
        if not changes.tasks and status is None:
            return True
        if status is not None:
            changes = replace(changes, facts=[*changes.facts, facts.of_run(self.run, status)])
        seq = await self._means.journal.advance(self.run, changes, status)
        if seq is None:
            return False
        self._landed(self.run.evolve(status=status or self.run.status), seq, changes)
        return True

    def _status_to_write(self) -> RunStatus | None:
        """A run that waited only inside a child run is RUNNING again once that child moves."""
        if self.run.status is RunStatus.PENDING:
            return RunStatus.RUNNING
        is_waiting = bool(self.progress.paused) or self.progress.status is not RunStatus.RUNNING
        return RunStatus.RUNNING if self.run.status is RunStatus.PAUSED and not is_waiting else None

    async def _write_rest(self, changes: Changes, rest: Rest) -> bool:
        told = [*changes.facts, facts.of_run(self.run, rest.status, rest.message)]
        resting = replace(changes, facts=told)
        seq = await self._means.journal.rest(self.run, resting, rest)
        if seq is not None:
            self._landed(_rested(self.run, rest), seq, resting)
            return True
        # What did not land, and what the run was given meanwhile, are still to be written, whatever they make of it.
        self.progress.put_back(changes)
        self._is_poked = True
        return True

    def _landed(self, run: Run, seq: int, changes: Changes) -> None:
        self.run = run.evolve(seq=seq)
        observer = self._means.observer
        if observer is not None:
            observer.landed(self.run, changes.tasks, changes.facts, self.progress.root.program)
        self._means.wakeups.publish(run.id, numbered(seq, changes.facts))

    async def _read_news(self) -> bool:
        """Read the run again and take in what people and child runs did. False where it is no longer ours."""
        self._is_poked = False
        progress = self.progress
        news = await self._means.read_news(self.run, list(progress.paused), list(progress.waiting))
        if news is None or news.run.epoch != self.run.epoch or news.run.status.is_final:
            self.stop()
            return False
        self.run = self.run.evolve(signals=news.run.signals, status=news.run.status)
        for answer in news.answers:
            progress.take_in(answer)
        return True


def _taken(waiting: list[T]) -> list[T]:
    found = list(waiting)
    waiting.clear()
    return found


def _rested(run: Run, rest: Rest) -> Run:
    return run.evolve(status=rest.status, message=rest.message, end_time=rest.end_time, has_work=False)
