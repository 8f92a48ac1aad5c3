"""One drill: a Rowel is struck down again and again while a crowd works with it; what was seen is a history."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rowel.cli.drill.crowd import Crowd
from rowel.cli.drill.fleet import Fleet
from rowel.cli.drill.history import Blow, Fault, History
from rowel.cli.drill.samples import ROWS, SAMPLES, batch_order, single_orders
from rowel.cli.drill.trace import Trace
from rowel.cli.drill.witness import Away, Witness
from rowel.client.words import Status

#: One blow in so many finds Rowel while it starts; one in so many asks it to end in peace.
_EARLY_EACH = 7
_PEACEFUL_EACH = 9
#: Seconds between two looks whether everything has ended.
_LOOK_EACH_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to a Rowel. The same seed makes the same orders and throws the same dice."""

    seed: int
    kills: int
    #: Single runs ordered after each blow.
    runs: int
    #: Rows of a batch that is ordered at the beginning, and of a smaller one after each blow (0: none).
    rows: int = 0
    small_rows: int = 0
    #: Seconds that a call outside takes, about.
    delay_s: float = 0.1
    #: Seconds between taking work and the next blow.
    shortest_s: float = 0.1
    longest_s: float = 1.2
    #: Seconds after the last blow in which nothing ends, until it is believed that nothing more will.
    patience_s: float = 120.0
    database_url: str | None = field(default=None, repr=False)
    workers: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    #: Strikes the store down and has it come back, after every so many kills.
    restart_store: Callable[[], None] | None = None
    store_each: int = 3


@dataclass(frozen=True)
class Stage:
    """How far a drill has come."""

    kills: int
    of: int
    known: int
    calls: int
    is_settling: bool = False


Tell = Callable[[Stage], None]


def perform(plan: Plan, home: Path, tell: Tell) -> History:
    """Do as planned in the directory `home`; return what was seen.

    Raises `Unfit` where Rowel doesn't come up or ends by itself.
    """
    with (
        Trace(plan.seed, plan.delay_s) as trace,
        Fleet(
            home,
            http_allow=trace.address,
            database_url=plan.database_url,
            workers=plan.workers,
            settings=plan.settings,
        ) as fleet,
        closing(Witness(fleet.url)) as witness,
    ):
        return Drill(plan, fleet, trace, witness, tell).perform()


class Drill:
    """A plan being carried out."""

    def __init__(self, plan: Plan, fleet: Fleet, trace: Trace, witness: Witness, tell: Tell) -> None:
        self._plan = plan
        self._fleet = fleet
        self._trace = trace
        self._tell = tell
        self._dice = Random(plan.seed)
        self._witness = witness
        self._crowd = Crowd(witness, plan.seed, trace.url)
        self._faults: list[Fault] = []
        self._kills = 0
        #: What was struck down last may not be back yet.
        self._is_starting = False

    def perform(self) -> History:
        self._fleet.start()
        self._crowd.make_workflows()
        if self._plan.rows:
            self._crowd.order([batch_order("batch", self._plan.rows)], spared=True)
        self._crowd.begin()
        try:
            while self._kills < self._plan.kills:
                self._order()
                self._strike()
            self._settle()
        finally:
            self._crowd.end()
        return self._take_stock()

    def _order(self) -> None:
        number = len(self._faults)
        self._crowd.order(single_orders(self._dice, f"{number}", self._plan.runs))
        if self._plan.small_rows:
            self._crowd.order([batch_order(f"{number}-batch", self._plan.small_rows)])

    def _strike(self) -> None:
        self._wait(self._dice.uniform(self._plan.shortest_s, self._plan.longest_s))
        # Who starts need not end in peace.
        is_peaceful = self._dice.randrange(_PEACEFUL_EACH) == 0 and not self._is_starting
        blow = Blow.TERMINATE if is_peaceful else Blow.KILL
        self._is_starting = self._dice.randrange(_EARLY_EACH) == 0
        self._faults.append(self._fleet.strike(blow, self._dice, waits=not self._is_starting))
        if blow is Blow.KILL:
            self._kills += 1
            if self._plan.restart_store is not None and self._kills % self._plan.store_each == 0:
                self._restart_store(self._plan.restart_store)
        self._report()

    def _restart_store(self, restart: Callable[[], None]) -> None:
        self._fleet.await_workers()
        begun = time.monotonic()
        restart()
        ended = time.monotonic()
        self._faults.append(
            Fault(blow=Blow.RESTART_STORE, begun=begun, ended=ended, ready=self._fleet.await_ready())
        )

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, _LOOK_EACH_S))

    def _check(self) -> None:
        if self._crowd.trouble is not None:
            raise self._crowd.trouble
        self._report()

    def _report(self, *, is_settling: bool = False) -> None:
        calls = self._trace.count
        self._tell(Stage(self._kills, self._plan.kills, len(self._crowd.known), calls, is_settling))

    def _settle(self) -> None:
        """Wait until every run has ended, or waits for somebody who never comes."""
        self._fleet.await_ready()
        self._crowd.settle()
        left, changed = -1, time.monotonic()
        while left and time.monotonic() < changed + self._plan.patience_s:
            self._fleet.check()
            self._check()
            self._report(is_settling=True)
            time.sleep(_LOOK_EACH_S)
            now = self._left()
            if now not in (None, left):
                left, changed = now, time.monotonic()

    def _left(self) -> int | None:
        """How much is still to end; None where nobody can tell."""
        try:
            # Looked at twice: what was PAUSED at first may have been answered before it is looked for.
            return self._crowd.orders_left() + self._running() + self._undecided() + self._running()
        except Away:
            return None

    def _running(self) -> int:
        return sum(len(self._witness.runs_in(status)) for status in (Status.PENDING, Status.RUNNING))

    def _undecided(self) -> int:
        paused = self._witness.every_run(Status.PAUSED)
        return sum(not SAMPLES[run.sample].stays_paused for run in paused)

    def _take_stock(self) -> History:
        """Look at everything once more, now that nothing moves."""
        witness = self._witness
        found = list(witness.every_run())
        for run in found:
            if SAMPLES[run.sample].asks:
                witness.look_at_pauses(run.id)
            if run.sample == ROWS.name and run.parent_id is None and run.status is Status.COMPLETED:
                witness.fetch_file(run.id)
        return History(
            seed=self._plan.seed,
            samples=SAMPLES,
            starts=witness.starts,
            decisions=witness.decisions,
            cancels=witness.cancels,
            runs=witness.runs,
            pauses=witness.pauses,
            files=witness.files,
            calls=list(self._trace.calls()),
            faults=self._faults,
            breakdowns=witness.breakdowns,
            listed=[run.id for run in found],
        )
