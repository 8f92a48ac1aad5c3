"""What the store keeps, as frozen values. Times are aware UTC; JSON values are plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, NewType, TypeVar

from rowel.core.outcomes import Fields, Usage
from rowel.core.selections import Selection
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus
from rowel.core.thresholds import FailureThreshold

WorkflowID = NewType("WorkflowID", str)
VersionID = NewType("VersionID", str)
RunID = NewType("RunID", str)
PauseID = NewType("PauseID", str)
DatasetID = NewType("DatasetID", str)
OutputFileID = NewType("OutputFileID", str)

Record = TypeVar("Record")


def _evolved(record: Record, changes: Mapping[str, Any]) -> Record:
    """A copy of a record with other values in some fields: what `dataclasses.replace` makes, at a fifth of its cost,
    and a run's way makes dozens."""
    copy = object.__new__(type(record))
    values = vars(copy)
    values.update(vars(record))
    known = len(values)
    values.update(changes)
    if len(values) != known:
        raise TypeError(
            f"{type(record).__name__} has no field {(changes.keys() - vars(record).keys()).pop()!r}"
        )
    return copy


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A named thing with versions; `definition` is the newest draft as its user saved it."""

    id: WorkflowID
    name: str
    description: str | None
    definition: Fields
    definition_hash: str
    #: What was found out about nodes when it was saved, {node id: facts}.
    facts: Fields
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Version:
    """An immutable numbered definition; a run is pinned to one."""

    id: VersionID
    workflow_id: WorkflowID
    version: int
    name: str
    description: str | None
    definition: Fields
    definition_hash: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution of a version."""

    id: RunID
    workflow_id: WorkflowID
    version_id: VersionID
    version: int
    run_type: RunType
    status: RunStatus
    start_time: datetime
    end_time: datetime | None = None
    initial_inputs: Fields | None = None
    message: str | None = None
    parent_run_id: RunID | None = None
    #: The run that waits for this one (a batch, or a run with a subworkflow node) and cancels it with itself.
    owner_id: RunID | None = None
    #: The path of the waiting task in the owner; None where the owner is a batch.
    owner_path: str | None = None
    row_index: int | None = None
    #: What a partial run, or the rerun of one, is of, and all its nodes: {"node_id": ..., "scope": [...]}.
    partial: Fields | None = None
    input_dataset_id: DatasetID | None = None
    output_file_id: OutputFileID | None = None
    #: The run that this one repeats: a rerun's, or a redriven batch's.
    origin_id: RunID | None = None
    has_work: bool = True
    #: The fencing token: whoever takes the run over raises it.
    epoch: int = 1
    #: The number of the newest event.
    seq: int = 0
    #: Raised by everything outside the runner that gives it work; a run rests only on the number it has seen.
    signals: int = 0
    recoveries: int = 0
    #: Its nodes don't ask the step cache.
    is_fresh: bool = False

    @property
    def is_batch(self) -> bool:
        """Whether it moves rows. A batch has an output file from its beginning, and it alone has one."""
        return self.output_file_id is not None

    @property
    def rests(self) -> bool:
        """Whether nothing moves it any more: it has ended, or it waits for people alone."""
        return self.status.is_final or (self.status is RunStatus.PAUSED and not self.has_work)

    def evolve(self, **changes: Any) -> Run:
        return _evolved(self, changes)

    def ended_at(self, now: datetime) -> datetime:
        """When it ends, if that is now. A clock that was set back since it began makes no end before the beginning."""
        return max(now, self.start_time)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One node in one run. `path` is the node's id, inside loops led by `{loop}.{iteration}.`."""

    run_id: RunID
    path: str
    node_id: str
    parent_path: str | None = None
    status: TaskStatus = TaskStatus.PENDING
    attempt: int = 0
    inputs: Fields | None = None
    outputs: Fields | None = None
    #: The handles that fired; None means all.
    routes: frozenset[str] | None = None
    error: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    #: When the next attempt starts, for a task that waits for its retry.
    retry_at: datetime | None = None
    usage: Usage | None = None
    logs: tuple[str, ...] = ()
    #: Its outputs came from the step cache: the node was not run.
    is_cached: bool = False
    #: Of inputs that are outputs of other tasks, whole: {title: path of the task}. For whoever keeps them only.
    received_from: Mapping[str, str] | None = field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        return f"{self.run_id}.{self.path}"

    @property
    def parent_task_id(self) -> str | None:
        return None if self.parent_path is None else f"{self.run_id}.{self.parent_path}"

    @property
    def is_reused(self) -> bool:
        """Whether it was taken over from the run that its run repeats: no attempt was made here."""
        return self.attempt == 0 and self.inputs is not None

    @property
    def is_given(self) -> bool:
        """Whether its outputs were given by whoever started the run, and not made by the node."""
        return self.attempt == 0 and self.inputs is None and self.status is TaskStatus.COMPLETED

    def evolve(self, **changes: Any) -> Task:
        return _evolved(self, changes)


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A task that waits for a person, and what the person said."""

    id: PauseID
    run_id: RunID
    path: str
    node_id: str
    message: str | None
    pause_time: datetime
    input_data: Fields
    form: Fields | None = None
    assignees: tuple[str, ...] = ()
    holds_all: bool = False
    due_at: datetime | None = None
    on_timeout: str | None = None
    is_open: bool = True
    resume_time: datetime | None = None
    resume_user_id: str | None = None
    resume_action: PauseAction | None = None
    resume_inputs: Fields | None = None
    comments: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows in. `key` is where its file lies; `offsets` help to begin in the middle."""

    id: DatasetID
    name: str
    description: str | None
    filename: str
    format: str
    key: str
    columns: tuple[str, ...]
    rows: int
    size: int
    created_at: datetime
    updated_at: datetime
    offsets: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """Rows out. The file is there once `is_ready`."""

    id: OutputFileID
    run_id: RunID
    file_name: str
    key: str
    is_ready: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Batch:
    """How far a batch run has come. Of the rows that it runs, those below `cursor` have a run, or are about to."""

    run_id: RunID
    dataset_id: DatasetID
    #: How many rows it runs.
    total: int
    cursor: int = 0
    window: int = 10
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    #: Rows that wait for a person, and those that move: counted when the batch is read.
    paused: int = 0
    running: int = 0
    #: What was asked for at the start, as plain JSON: `column_map`, `threshold`, `dataset_rows`.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: How many rows are tried first, until somebody has approved the others; None: all may run.
    canary: int | None = None
    #: What the ended rows cost: tokens, and billionths of a dollar.
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    #: The rows that run, as (first, last) pairs in order; None: all of the dataset.
    selection: Sequence[tuple[int, int]] | None = None

    @property
    def rows(self) -> Selection:
        """The rows of the dataset that it runs."""
        return Selection.whole(self.total) if self.selection is None else Selection(self.selection)

    @property
    def threshold(self) -> FailureThreshold | None:
        """How many rows may fail; None: all."""
        return FailureThreshold.read(self.options.get("threshold"))

    @property
    def column_map(self) -> Mapping[str, str]:
        """{field of the input node: column} where they are not called alike."""
        return self.options.get("column_map") or {}

    @property
    def dataset_rows(self) -> int:
        """How many rows the dataset has; a redriven batch runs some of them."""
        return int(self.options.get("dataset_rows", self.total))

    @property
    def settled(self) -> int:
        return self.completed + self.failed + self.canceled

    @property
    def begun(self) -> int:
        """How many rows have a run, or are about to."""
        return self.rows.count_before(self.cursor)

    @property
    def in_flight(self) -> int:
        """How many rows have begun and neither ended nor wait for a person."""
        return self.begun - self.settled - self.paused

    @property
    def queued(self) -> int:
        """How many rows have no run yet. With the rows that move, wait and have ended they are all rows."""
        return self.total - self.settled - self.paused - self.running


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why rows of a batch failed: what their messages have in common, how many they are, and one of them."""

    signature: str
    count: int
    example_run_id: RunID
    example_row: int


class Answer(NamedTuple):
    """What a request was answered: a status of HTTP, and a text."""

    status: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was done for a request that came with a key."""

    key: str
    #: A hash of what was asked for.
    fingerprint: str
    #: The run that it started or decided about.
    run_id: RunID
    created_at: datetime
    #: None where it follows from the run once that rests.
    answer: Answer | None = None


@dataclass(frozen=True)
class Event:
    """A numbered fact about a run. `body` says what changed; who wants more reads the run."""

    number: int
    kind: str
    body: Fields
