"""What was seen of a Rowel while it was killed: by its clients, and by the service that its workflows call.

Values only. All times are seconds of one clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rowel.client.words import Action, Status

#: The status of an answer that leaves open whether the store has kept what was asked.
UNAVAILABLE = 503


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one of the workflows does that can be looked at."""

    name: str
    #: The nodes that call the service outside; each call leaves a receipt.
    calls: frozenset[str] = frozenset()
    #: Those of them that must not be tried again after a crash (`on_interrupt: fail`).
    calls_once: frozenset[str] = frozenset()
    #: The nodes that wait for a person, and those of them that have a way on when that person declines.
    asks: frozenset[str] = frozenset()
    declinable: frozenset[str] = frozenset()
    #: Nobody answers it.
    stays_paused: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a dataset. The service refuses the call of one that `fails`."""

    key: str
    fails: bool = False


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a client wants done. Its `key` is in the run's inputs: so a run is known whose start nobody answered."""

    key: str
    sample: str
    #: Of a batch.
    rows: tuple[Row, ...] = ()
    #: Its key is sent as idempotency key too: it may be sent again and again until somebody answers.
    is_repeatable: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request. `status` is its answer's; None where the connection broke, and nobody knows what became of it."""

    asked: float
    answered: float
    status: int | None

    @property
    def is_taken(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def may_have_landed(self) -> bool:
        return self.is_taken or self.status in (None, UNAVAILABLE)


@dataclass(frozen=True, kw_only=True)
class Start(Asked):
    """A start. `run_id` is None where the answer named none."""

    order: Order
    run_id: str | None = None
    #: Whether the answer came with the run's end, and not with its acceptance.
    waited: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision(Asked):
    """An answer to a pause. Every decision has a user of its own, also where it was sent several times."""

    run_id: str
    node_id: str
    action: Action
    user_id: str
    inputs: Mapping[str, Any]
    comments: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cancel(Asked):
    """A cancel of a run."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class ShownTask:
    """A task in an answer."""

    id: str
    node_id: str
    status: Status
    outputs: Mapping[str, Any] | None = None
    is_inner: bool = False


@dataclass(frozen=True, kw_only=True)
class ShownRun:
    """A run in an answer."""

    asked: float
    answered: float
    id: str
    sample: str
    status: Status
    percentage: float
    key: str | None = None
    parent_id: str | None = None
    row_index: int | None = None
    message: str | None = None
    version: int | None = None
    #: What the definition of that version calls itself.
    edition: int | None = None
    tasks: tuple[ShownTask, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShownPause:
    """A pause in a run's history. `action` is None while it waits."""

    id: str
    node_id: str
    message: str | None
    time: str
    received: Mapping[str, Any] | None
    user_id: str | None = None
    action: Action | None = None
    comments: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShownPauses:
    """All pauses of a run in one answer."""

    asked: float
    answered: float
    run_id: str
    pauses: tuple[ShownPause, ...]


@dataclass(frozen=True, kw_only=True)
class ShownFile:
    """A batch's output file, one value a line, and the counts that the batch told last."""

    run_id: str
    lines: tuple[Mapping[str, Any], ...]
    total: int
    completed: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that a task made outside: one side effect."""

    task_id: str
    receipt: int
    begun: float
    #: None where whoever called was gone before it was answered.
    ended: float | None = None

    @property
    def run_id(self) -> str:
        return self.task_id.partition(".")[0]


class Blow(StrEnum):
    """What was done to Rowel."""

    KILL = "kill"
    TERMINATE = "terminate"
    RESTART_STORE = "restart of the store"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One blow: from `begun` to `ended`, when what it hit was gone, and `ready`, when the server took work again (None:
    it was not the server, or nobody waited)."""

    blow: Blow
    begun: float
    ended: float
    ready: float | None = None
    #: The exit code of a process that was asked to end.
    code: int | None = None


@dataclass(kw_only=True)
class History:
    """Everything that was seen between the first start and the last look."""

    seed: int
    samples: Mapping[str, Sample] = field(default_factory=dict)
    starts: Sequence[Start] = ()
    decisions: Sequence[Decision] = ()
    cancels: Sequence[Cancel] = ()
    runs: Sequence[ShownRun] = ()
    pauses: Sequence[ShownPauses] = ()
    files: Sequence[ShownFile] = ()
    calls: Sequence[Call] = ()
    faults: Sequence[Fault] = ()
    #: Answers that no request deserves: what was asked, and the status.
    breakdowns: Sequence[tuple[str, int]] = ()
    #: The runs that all the lists named in the end, when nothing moved any more; each of them as often as it was there.
    listed: Sequence[str] = ()
