"""The seam for those who look in: what the engine tells them. Without an observer nothing is told."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple, Protocol

from rowel.core.records import Run, Task
from rowel.engine.programs import Program
from rowel.nodes.context import Services
from rowel.store.journal import Fact


class Place(NamedTuple):
    """What the code at hand works for; `task_id` and `node_id` are empty outside of tasks."""

    run_id: str
    task_id: str = ""
    node_id: str = ""
    attempt: int = 0


#: Facts as they were written.
Told = Sequence[Fact]

#: What the code at hand works for: whoever logs, or calls something outside, may say so.
PLACE: ContextVar[Place | None] = ContextVar("rowel_place", default=None)

#: Where the request that is being answered stands in its client's trace (W3C `traceparent`).
CALLER: ContextVar[str] = ContextVar("rowel_caller", default="")

#: The request that is being answered.
REQUEST: ContextVar[str] = ContextVar("rowel_request", default="")


class Observer(Protocol):
    """Hears of what has happened once it is in the store. Must be quick, and must not raise."""

    def landed(self, run: Run, tasks: Sequence[Task], told: Told, program: Program) -> None:
        """A group of a run that moves here: `tasks` as they are now, and the facts about them and the run."""

    def told(self, run_id: str, told: Told) -> None:
        """Facts about a run from elsewhere: a start, a decision, a cancel, a batch."""

    def taken_up(self, run_id: str) -> None:
        """A run that had begun was taken over from the store: after a rest, a restart or a crash."""

    def committed(self, seconds: float, groups: int) -> None:
        """One transaction of so many groups. Comes from the writer's thread."""

    def watch(self, services: Services) -> Services:
        """The services with which nodes shall work, to see what they ask of them."""


class Waiting(NamedTuple):
    """What waits and moves at this moment. Runs and pauses are counted up to a limit."""

    #: Runs that wait for a slot or a worker, and those that move in this process.
    queued: int
    moving: int
    #: Streams of events.
    listeners: int
    #: {status: count} of the open runs, and open pauses.
    open_runs: dict[str, int]
    open_pauses: int
