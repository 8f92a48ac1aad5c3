"""A client that remembers everything it asked and everything it was told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rowel.cli.drill.history import (
    UNAVAILABLE,
    Cancel,
    Decision,
    Order,
    ShownFile,
    ShownPauses,
    ShownRun,
    Start,
)
from rowel.cli.drill.pictures import pause_shown, run_shown
from rowel.client import Client, operations
from rowel.client.errors import ConnectionLost, NotCompleted, Refused
from rowel.client.models import PausedWorkflow, Progress, Run
from rowel.client.words import Action

T = TypeVar("T")

_OK = 200
_BROKEN = 500


class Away(Exception):
    """The server did not answer, or could not work: it may be back in a moment."""


class NotSent(Away):
    """Nobody listened: what was asked never arrived."""


@dataclass(frozen=True)
class Reply(Generic[T]):
    """What became of a request; `value` is None where it was not taken."""

    asked: float
    answered: float
    status: int | None
    value: T | None

    @property
    def is_from_a_server_at_work(self) -> bool:
        return self.status is not None and self.status != UNAVAILABLE and self.status < _BROKEN


class Witness:
    """Asks a Rowel, from several threads at once."""

    def __init__(self, url: str) -> None:
        self.client = Client(url, timeout=60.0)
        #: Which sample a workflow is, and which order a dataset belongs to.
        self.samples: dict[str, str] = {}
        self.datasets: dict[str, str] = {}
        self.starts: list[Start] = []
        self.decisions: list[Decision] = []
        self.cancels: list[Cancel] = []
        self.runs: list[ShownRun] = []
        self.pauses: list[ShownPauses] = []
        self.files: list[ShownFile] = []
        self.breakdowns: list[tuple[str, int]] = []

    def close(self) -> None:
        self.client.close()

    def ask(self, what: str, ask: Callable[[], T]) -> Reply[T]:
        """Ask, and note when. Raises `NotSent`."""
        asked = time.monotonic()
        status: int | None = _OK
        value = None
        try:
            value = ask()
        except ConnectionLost as lost:
            if not lost.may_have_arrived:
                raise NotSent from lost
            status = None
        except Refused as refused:
            status = refused.status
            if status >= _BROKEN and status != UNAVAILABLE:
                self.breakdowns.append((f"{what}: {refused}", status))
        return Reply(asked, time.monotonic(), status, value)

    def told(self, what: str, ask: Callable[[], T]) -> Reply[T]:
        """Ask for what a server that works never refuses. Raises `Away` where it is none."""
        reply = self.ask(what, ask)
        if not reply.is_from_a_server_at_work:
            raise Away
        if reply.status is not None and reply.status != _OK:
            self.breakdowns.append((what, reply.status))
        return reply

    def make_workflow(self, sample: str, definition: Mapping[str, Any]) -> str:
        """Keep a sample's workflow and return its id. Raises `Away`."""
        made = self.told("a workflow", lambda: self.client.workflows.create(sample, definition)).value
        if made is None:
            raise Away
        self.samples[made.id] = sample
        return made.id

    def edit_workflow(self, workflow_id: str, sample: str, definition: Mapping[str, Any]) -> None:
        """Make a new edition of a workflow. Raises `Away`."""
        self.told("an edit", lambda: self.client.workflows.update(workflow_id, sample, definition))

    def start(self, order: Order, workflow_id: str, inputs: Mapping[str, Any]) -> str | None:
        """Start a run in the background, and return its id where the start was acknowledged. Raises `Away`."""
        return self._started(order, lambda: self.client.start(workflow_id, inputs).run)

    def upload(self, order: Order, file: Path) -> str:
        """Upload the rows of a batch and return the dataset's id. Raises `Away`."""
        dataset = self.told("an upload", lambda: self.client.datasets.create(order.key, file)).value
        if dataset is None:
            raise Away
        self.datasets[dataset.id] = order.key
        return dataset.id

    def start_batch(self, order: Order, workflow_id: str, dataset_id: str, at_a_time: int) -> str | None:
        """Start a batch, likewise."""
        begin = operations.start_batch(workflow_id, dataset_id, at_a_time)
        return self._started(order, lambda: self.client.call(begin))

    def _started(self, order: Order, begin: Callable[[], Run]) -> str | None:
        reply = self.ask(f"a start of {order.sample}", begin)
        run = reply.value
        self._note_start(order, reply, None if run is None else run.id)
        if run is not None:
            self._note_run(run, reply)
        return self._id_or_away(run, reply)

    def run(self, order: Order, workflow_id: str, inputs: Mapping[str, Any], patience_s: float) -> str | None:
        """Run and wait for the end, but no longer than `patience_s` seconds. Raises `Away`."""
        blocking = operations.run(workflow_id, inputs, patience_s)
        unfinished: list[Run] = []

        def wait() -> dict[str, Any] | None:
            try:
                return self.client.call(blocking)
            except NotCompleted as ended:
                unfinished.append(ended.run)
                return None

        reply = self.ask(f"a blocking run of {order.sample}", wait)
        run = unfinished[0] if unfinished else None
        waited = reply.value is not None
        self._note_start(order, reply, None if run is None else run.id, waited=waited)
        if run is not None:
            self._note_run(run, reply)
        return None if waited else self._id_or_away(run, reply)

    def _note_start(
        self, order: Order, reply: Reply[Any], run_id: str | None, *, waited: bool = False
    ) -> None:
        self.starts.append(
            Start(
                asked=reply.asked,
                answered=reply.answered,
                status=reply.status,
                order=order,
                run_id=run_id,
                waited=waited,
            )
        )

    def _id_or_away(self, run: Run | None, reply: Reply[Any]) -> str | None:
        if run is None and not reply.is_from_a_server_at_work:
            raise Away
        return None if run is None else run.id

    def look(self, run_id: str) -> ShownRun | None:
        """Look at a run. Raises `Away`."""
        reply = self.told(f"a look at run {run_id}", lambda: self.client.get_run(run_id))
        return None if reply.value is None else self._note_run(reply.value, reply)

    def look_at_pauses(self, run_id: str) -> None:
        """Look at all pauses of a run. Raises `Away`."""
        reply = self.told(f"a look at the pauses of run {run_id}", lambda: self.client.pause_history(run_id))
        if reply.value is not None:
            shown = tuple(map(pause_shown, reply.value))
            self.pauses.append(
                ShownPauses(asked=reply.asked, answered=reply.answered, run_id=run_id, pauses=shown)
            )

    def paused(self, at_most: int) -> list[PausedWorkflow]:
        """The newest runs that wait for a person. Raises `Away`."""
        reply = self.told("the inbox", lambda: self.client.paused(page_size=at_most))
        for waiting in reply.value or ():
            self._note_run(waiting.run, reply)
        return reply.value or []

    def decide(
        self, run_id: str, node_id: str, action: Action, user_id: str, inputs: Mapping[str, Any]
    ) -> None:
        """Answer a pause. Raises `Away`."""
        comments = f"{user_id} says so."

        def answer() -> Run:
            return self.client.decide(
                run_id, action, user_id=user_id, inputs=inputs, comments=comments, node_id=node_id
            )

        reply = self.ask("a decision", answer)
        self.decisions.append(
            Decision(
                asked=reply.asked,
                answered=reply.answered,
                status=reply.status,
                run_id=run_id,
                node_id=node_id,
                action=action,
                user_id=user_id,
                inputs=inputs,
                comments=comments,
            )
        )
        if reply.value is not None:
            self._note_run(reply.value, reply)
        self._id_or_away(reply.value, reply)

    def cancel(self, run_id: str) -> None:
        """Cancel a run. Raises `Away`."""
        reply = self.ask("a cancel", lambda: self.client.cancel(run_id))
        self.cancels.append(
            Cancel(asked=reply.asked, answered=reply.answered, status=reply.status, run_id=run_id)
        )
        if reply.value is not None:
            self._note_run(reply.value, reply)
        self._id_or_away(reply.value, reply)

    def runs_in(self, status: str) -> list[ShownRun]:
        """The newest runs that have this status. Raises `Away`."""
        reply = self.told("a list", lambda: self.client.runs(status=status, page_size=operations.PAGE_SIZE))
        return [self._note_run(run, reply) for run in reply.value or ()]

    def every_run(self, status: str | None = None) -> Iterator[ShownRun]:
        """All runs of all workflows, or those that have this status, page by page. Raises `Away`."""
        for workflow_id in self.samples:
            page = 1
            while found := self._page(workflow_id, status, page):
                yield from found
                page += 1

    def _page(self, workflow_id: str, status: str | None, page: int) -> list[ShownRun]:
        size = operations.PAGE_SIZE
        reply = self.told(
            "a list", lambda: self.client.runs(workflow_id, status=status, page=page, page_size=size)
        )
        return [self._note_run(run, reply) for run in reply.value or ()]

    def fetch_file(self, run_id: str) -> None:
        """Fetch a batch's output file and its last counts. Raises `Away`."""
        reply = self.told("an output file", lambda: self._file_of(run_id))
        if reply.value is not None:
            self.files.append(reply.value)

    def _file_of(self, run_id: str) -> ShownFile | None:
        batch = self.client.attach(run_id)
        counts = _newest(batch.progress())
        if counts is None:
            return None
        return ShownFile(
            run_id=run_id,
            lines=tuple(batch.rows()),
            total=counts.total,
            completed=counts.completed,
            failed=counts.failed,
        )

    def _note_run(self, run: Run, reply: Reply[Any]) -> ShownRun:
        key = self.datasets.get(run.input_dataset_id or "")
        shown = run_shown(run, self.samples[run.workflow_id], key, reply.asked, reply.answered)
        self.runs.append(shown)
        return shown


def _newest(told: Iterable[Progress]) -> Progress | None:
    newest = None
    for progress in told:
        newest = progress
    return newest
