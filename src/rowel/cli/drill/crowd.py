"""The clients of a drill: they start, decide, cancel, edit and look, all at once, and come back when cut off."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from threading import Event, Thread

from rowel.cli.drill import samples
from rowel.cli.drill.history import Order
from rowel.cli.drill.witness import Away, NotSent, Witness
from rowel.client.words import Action, Status

#: Seconds after which a client tries again that nobody answered.
AWAY_S = 0.1
#: Of the single runs so many are waited for, and before so many starts their workflow is edited.
_WAITED = 0.15
_EDITED = 0.06
#: What is decided, and how often.
_ACTIONS = {Action.APPROVE: 5, Action.OVERRIDE: 3, Action.DECLINE: 2}
#: Those who decide choose among so few runs that they often take the same.
_UNDECIDED = 4
#: Of so many runs that were started last one is canceled, each time after a while (seconds).
_NEWEST = 10
_CANCEL_EACH_S = (0.1, 0.6)
#: Who looks mostly looks at one of so many that were started last.
_RECENT = 20
_LOOKS_AT_RECENT = 0.7
#: Rows of a batch in flight.
_AT_A_TIME = 8
_PATIENCE_S = 20.0


class Crowd:
    """Threads that share a witness. Each has dice of its own."""

    def __init__(self, witness: Witness, seed: int, trace_url: str) -> None:
        self._witness = witness
        self._seed = seed
        self._trace_url = trace_url
        self._workflows: dict[str, str] = {}
        self._editions = dict.fromkeys(samples.SAMPLES, 1)
        self._orders: SimpleQueue[Order] = SimpleQueue()
        #: The keys of those that are not started yet, also while somebody is about to.
        self._open: set[str] = set()
        #: Runs whose starts were acknowledged, with what they are of.
        self.known: list[tuple[str, Order]] = []
        self._undecided: list[str] = []
        self._uploads: dict[str, str] = {}
        self._spared: set[str] = set()
        self._users = count(1)
        self._is_over = Event()
        self._is_settling = Event()
        self._threads: list[Thread] = []
        #: What went wrong with a client itself.
        self.trouble: Exception | None = None

    def make_workflows(self) -> None:
        """Keep every sample's workflow. For a server that nobody strikes. Raises `Away`."""
        for sample in samples.SAMPLES:
            self._workflows[sample] = self._witness.make_workflow(sample, self._definition(sample))

    def _definition(self, sample: str) -> dict[str, object]:
        return samples.definition_of(
            sample,
            trace_url=self._trace_url,
            edition=self._editions[sample],
            chain_id=self._workflows.get(samples.CHAIN.name, ""),
        )

    def begin(self) -> None:
        """Let everybody act."""
        acts: tuple[tuple[Callable[[Random], None], int], ...] = (
            (self._start_one, 3),
            (self._decide_one, 2),
            (self._cancel_one, 1),
            (self._look_at_one, 2),
        )
        for act, threads in acts:
            for number in range(threads):
                dice = Random(f"{self._seed} {act.__name__} {number}")
                self._threads.append(Thread(target=self._act, args=(act, dice), daemon=True))
        for thread in self._threads:
            thread.start()

    def order(self, orders: Iterable[Order], *, spared: bool = False) -> None:
        """Have these started. Nobody cancels those that are `spared`."""
        for order in orders:
            if spared:
                self._spared.add(order.key)
            self._open.add(order.key)
            self._orders.put(order)

    def settle(self) -> None:
        """Let nobody cancel any more, so that everything comes to an end."""
        self._is_settling.set()

    def orders_left(self) -> int:
        """How many are still to be started."""
        return len(self._open)

    def end(self) -> None:
        """Have everybody stop."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _act(self, act: Callable[[Random], None], dice: Random) -> None:
        while not self._is_over.is_set():
            try:
                act(dice)
            except Away:
                self._is_over.wait(AWAY_S)
            except Exception as error:  # noqa: BLE001  # whoever waits for the crowd raises it
                self.trouble = error
                return

    def _start_one(self, dice: Random) -> None:
        self._is_over.wait(dice.uniform(0, AWAY_S))
        try:
            order = self._orders.get(timeout=AWAY_S)
        except Empty:
            return
        try:
            self._prepare(order, dice)
            run_id = self._start(order, dice)
        except NotSent:
            self._orders.put(order)
            raise
        except Away:
            self._open.discard(order.key)
            raise
        self._open.discard(order.key)
        if run_id is not None:
            self.known.append((run_id, order))
            if order.sample == samples.APPROVAL.name:
                self._undecided.append(run_id)

    def _prepare(self, order: Order, dice: Random) -> None:
        """Edit the workflow first, now and then; upload the rows of a batch. Raises `NotSent` where that fails."""
        try:
            if dice.random() < _EDITED:
                self._edit(order.sample)
            if order.rows and order.key not in self._uploads:
                self._uploads[order.key] = self._upload(order)
        except Away as away:
            raise NotSent from away

    def _edit(self, sample: str) -> None:
        self._editions[sample] += 1
        self._witness.edit_workflow(self._workflows[sample], sample, self._definition(sample))

    def _upload(self, order: Order) -> str:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / f"{order.key}.csv"
            file.write_text(samples.dataset_of(order))
            return self._witness.upload(order, file)

    def _start(self, order: Order, dice: Random) -> str | None:
        workflow_id = self._workflows[order.sample]
        if order.rows:
            return self._witness.start_batch(order, workflow_id, self._uploads[order.key], _AT_A_TIME)
        inputs = samples.inputs_of(order, dice)
        if dice.random() < _WAITED:
            return self._witness.run(order, workflow_id, inputs, _PATIENCE_S)
        return self._witness.start(order, workflow_id, inputs)

    def _decide_one(self, dice: Random) -> None:
        """Answer a pause of a run that was started last: others do so at the same time."""
        if self._is_settling.is_set() and not self._undecided:
            self._find_undecided()
        undecided = self._undecided[-_UNDECIDED:]
        if not undecided:
            self._is_over.wait(AWAY_S)
            return
        run_id = dice.choice(undecided)
        run = self._witness.look(run_id)
        open_nodes = [task.node_id for task in run.tasks if task.status is Status.PAUSED] if run else []
        if open_nodes:
            self._decide(run_id, dice.choice(open_nodes), dice)
        elif run is None or run.status.is_final:
            with suppress(ValueError):
                self._undecided.remove(run_id)
        self._is_over.wait(dice.uniform(0, AWAY_S))

    def _find_undecided(self) -> None:
        """What waits for a person, also where nobody knows of its start."""
        for run in self._witness.every_run(Status.PAUSED):
            if run.sample == samples.APPROVAL.name and run.id not in self._undecided:
                self._undecided.append(run.id)

    def _decide(self, run_id: str, node_id: str, dice: Random) -> None:
        action = dice.choices(list(_ACTIONS), list(_ACTIONS.values()))[0]
        user_id = f"user-{next(self._users)}"
        self._witness.decide(run_id, node_id, action, user_id, {"by": user_id})

    def _cancel_one(self, dice: Random) -> None:
        """Cancel one of the newest runs: most of them are open still."""
        if self._is_over.wait(dice.uniform(*_CANCEL_EACH_S)) or self._is_settling.is_set():
            return
        newest = [run_id for run_id, order in self.known[-_NEWEST:] if order.key not in self._spared]
        if newest:
            self._witness.cancel(dice.choice(newest))

    def _look_at_one(self, dice: Random) -> None:
        self._is_over.wait(dice.uniform(0, AWAY_S))
        if not self.known:
            return
        run_id, order = dice.choice(self.known[-_RECENT:] if dice.random() < _LOOKS_AT_RECENT else self.known)
        self._witness.look(run_id)
        if samples.SAMPLES[order.sample].asks:
            self._witness.look_at_pauses(run_id)
