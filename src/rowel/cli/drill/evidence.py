"""A history, put in order for those who judge it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from rowel.cli.drill.history import Blow, History, Order, Row, Sample, ShownPause, ShownRun


class Answer(Protocol):
    """What was asked for at one moment, and known at another."""

    @property
    def asked(self) -> float: ...

    @property
    def answered(self) -> float: ...


A = TypeVar("A", bound=Answer)
V = TypeVar("V")


class Evidence:
    """What is known of each run, each task and each pause."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.shown = grouped((run.id, run) for run in history.runs)
        #: How each run was last seen.
        self.last = {run_id: _last(shown) for run_id, shown in self.shown.items()}
        self.pauses = grouped((pauses.run_id, pauses) for pauses in history.pauses)
        calls = sorted(history.calls, key=lambda call: call.begun)
        #: By task, and by run, in the order in which they began.
        self.calls = grouped((call.task_id, call) for call in calls)
        self.calls_of = grouped((call.run_id, call) for call in calls)
        self.decisions = grouped(((made.run_id, made.node_id), made) for made in history.decisions)
        self.cancels = grouped((cancel.run_id, cancel) for cancel in history.cancels)
        self.children = grouped(
            (run.parent_id, run) for run in self.last.values() if run.parent_id is not None
        )
        self.orders = {start.order.key: start.order for start in history.starts}
        self.files = {file.run_id: file for file in history.files}
        #: What may make tasks run once more; a shutdown may not.
        self.blows = [fault for fault in history.faults if fault.blow is not Blow.TERMINATE]

    def sample(self, run: ShownRun) -> Sample:
        return self.history.samples[run.sample]

    def lineage(self, run: ShownRun) -> Iterator[ShownRun]:
        """The run, its parent, and so on."""
        here: ShownRun | None = run
        while here is not None:
            yield here
            here = self.last.get(here.parent_id or "")

    def below(self, run_id: str) -> Iterator[str]:
        """The run and all that it owns."""
        yield run_id
        for child in self.children.get(run_id, ()):
            yield from self.below(child.id)

    def order(self, run: ShownRun) -> Order | None:
        """What a client asked for that made this run; None for rows and child runs."""
        return self.orders.get(run.key or "") if run.parent_id is None else None

    def row(self, run: ShownRun) -> Row | None:
        """The row of the dataset that this run is of."""
        parent = self.last.get(run.parent_id or "")
        order = None if parent is None else self.order(parent)
        if order is None or run.row_index is None or not 0 <= run.row_index < len(order.rows):
            return None
        return order.rows[run.row_index]

    def pause(self, run_id: str, node_id: str) -> ShownPause | None:
        """The pause of a node, as the history of its run told it last."""
        shown = self.pauses.get(run_id)
        told = _last(shown).pauses if shown else ()
        return next((pause for pause in told if pause.node_id == node_id), None)


def grouped(pairs: Iterable[tuple[Any, V]]) -> dict[Any, list[V]]:
    """Values by key, in the order in which they came."""
    found: dict[Hashable, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


def in_order(answers: Iterable[A]) -> Iterator[tuple[list[A], A]]:
    """Each answer, in the order in which they were asked for, with those that became known since the one before and
    were there before it was asked for: what these said must still hold."""
    answers = list(answers)
    waiting = sorted(answers, key=lambda answer: answer.answered, reverse=True)
    for answer in sorted(answers, key=lambda answer: answer.asked):
        news = []
        while waiting and waiting[-1].answered <= answer.asked:
            news.append(waiting.pop())
        yield news, answer


def _last(answers: Iterable[A]) -> A:
    return max(answers, key=lambda answer: answer.answered)
