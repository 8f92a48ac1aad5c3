"""What the server answers with, as frozen values.

Each class has `from_wire`, which reads the JSON of an answer. Fields this version doesn't know are kept: `wire` is the
JSON as it came, `extra` the part of it that has no attribute. Times are aware `datetime`s, durations seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from rowel.client.errors import UnexpectedAnswer
from rowel.client.words import Action, EventKind, Status

Fields = dict[str, Any]

_KEPT_RAW = "wire"


def _as(read: Callable[[Any], Any]) -> dict[str, Any]:
    """Metadata of a field: how its value is made from JSON. Null stays None."""
    return {"read": read}


def _each(read: Callable[[Any], Any]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return lambda items: tuple(map(read, items))


def _version_number(value: Any) -> int:
    """The server tells the whole version; what a run shows of it is its number."""
    return int(value["version"] if isinstance(value, Mapping) else value)


_MOMENT = _as(datetime.fromisoformat)


@dataclass(frozen=True, kw_only=True)
class Model:
    """One JSON object of the API."""

    #: The JSON that this was read from, whole.
    wire: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Read the JSON of an answer. Raises `UnexpectedAnswer` where a required field is missing or malformed."""
        try:
            known = {
                spec.name: _read(spec.metadata, wire[spec.name])
                for spec in fields(cls)
                if spec.init and spec.name != _KEPT_RAW and spec.name in wire
            }
            return cls(wire=wire, **known)
        except (TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(f"the answer is not a valid {cls.__name__}: {error}") from error

    @property
    def extra(self) -> Fields:
        """The fields of the answer that have no attribute here."""
        known = {spec.name for spec in fields(self)}
        return {name: value for name, value in self.wire.items() if name not in known}


def _read(metadata: Mapping[str, Any], value: Any) -> Any:
    read = metadata.get("read")
    return value if read is None or value is None else read(value)


@dataclass(frozen=True, kw_only=True)
class Task(Model):
    """One node in one run; inside a loop one for each iteration, with `parent_task_id`."""

    id: str
    run_id: str
    node_id: str
    status: Status = field(metadata=_as(Status))
    parent_task_id: str | None = None
    inputs: Fields | None = None
    outputs: Fields | None = None
    #: What went wrong, its first line the message.
    error: str | None = None
    start_time: datetime | None = field(default=None, metadata=_MOMENT)
    end_time: datetime | None = field(default=None, metadata=_MOMENT)
    #: The body of a loop or subworkflow node, and what its nodes gave: {node id: [outputs of each iteration]}.
    subworkflow: Fields | None = None
    subworkflow_output: dict[str, list[Fields]] | None = None
    #: It was taken over from the run that its run repeats, and not executed.
    reused: bool = False
    #: Its outputs were given by whoever started the run, and not made by the node.
    given: bool = False
    #: Its outputs came from the step cache: the node was not run.
    cached: bool = False

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None until both are known."""
        if self.start_time is None or self.end_time is None:
            return None
        return (self.end_time - self.start_time).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Run(Model):
    """One execution of a workflow's version. A batch is a run too: the parent of one run for each row."""

    id: str
    workflow_id: str
    status: Status = field(metadata=_as(Status))
    start_time: datetime = field(metadata=_MOMENT)
    #: `interactive`, `batch`, `partial` or `rerun`.
    run_type: str = "interactive"
    workflow_version: int | None = field(default=None, metadata=_as(_version_number))
    workflow_version_id: str | None = None
    end_time: datetime | None = field(default=None, metadata=_MOMENT)
    initial_inputs: dict[str, Fields] | None = None
    #: {node id: outputs} of every COMPLETED node; None for a batch.
    outputs: dict[str, Fields] | None = None
    tasks: tuple[Task, ...] = field(default=(), metadata=_as(_each(Task.from_wire)))
    parent_run_id: str | None = None
    output_file_id: str | None = None
    input_dataset_id: str | None = None
    #: What a person should know: why it failed, who declined, how many rows failed.
    message: str | None = None
    #: Seconds from the start to the end, or until the answer was made.
    duration: float | None = None
    #: 0 to 100.
    percentage_complete: float = 0.0
    #: The run that this one repeats.
    rerun_of: str | None = None
    #: The batch of which this one runs rows again.
    redrive_of: str | None = None

    @property
    def failed_task(self) -> Task | None:
        """The task that made the run fail: the innermost FAILED one that began first. None where none failed."""
        failed = [task for task in self.tasks if task.status is Status.FAILED]
        around = {task.parent_task_id for task in failed}
        return next((task for task in failed if task.id not in around), None)


@dataclass(frozen=True, kw_only=True)
class PlannedNode(Model):
    """What becomes of one node in a rerun, and why."""

    node_id: str
    #: `run`, `reuse`, `edit` or `cancel`.
    fate: str
    #: The end of a sentence that begins with the fate.
    why: str
    #: It runs, and may call or change something outside.
    touches_outside: bool = False


@dataclass(frozen=True, kw_only=True)
class RerunPlan(Model):
    """What a rerun would do; its nodes come in the order in which they could run."""

    rerun_of: str
    #: The version that it would run on.
    version: int
    nodes: tuple[PlannedNode, ...] = field(default=(), metadata=_as(_each(PlannedNode.from_wire)))


@dataclass(frozen=True, kw_only=True)
class Pruned(Model):
    """What retention removed, or would remove. `bytes` are those of the files; `orphans` are files without a record."""

    runs: int = 0
    tasks: int = 0
    events: int = 0
    output_files: int = 0
    orphans: int = 0
    bytes: int = 0
    #: Whether nothing is left to do.
    is_complete: bool = True

    def then(self, later: Pruned) -> Pruned:
        """The sum of this call and one after it."""
        counts = {
            name: getattr(self, name) + getattr(later, name)
            for name in ("runs", "tasks", "events", "output_files", "orphans", "bytes")
        }
        return Pruned.from_wire({**counts, "is_complete": later.is_complete})


@dataclass(frozen=True, kw_only=True)
class Workflow(Model):
    """A named workflow; `definition` is its newest draft as it was saved."""

    id: str
    name: str
    definition: Fields
    description: str | None = None
    created_at: datetime | None = field(default=None, metadata=_MOMENT)
    updated_at: datetime | None = field(default=None, metadata=_MOMENT)


@dataclass(frozen=True, kw_only=True)
class Version(Model):
    """A numbered, immutable definition; each run is pinned to one."""

    version: int
    name: str
    definition: Fields
    definition_hash: str
    description: str | None = None
    created_at: datetime | None = field(default=None, metadata=_MOMENT)
    updated_at: datetime | None = field(default=None, metadata=_MOMENT)


@dataclass(frozen=True, kw_only=True)
class Pause(Model):
    """A task that waits or waited for a person, and what the person said. `resume_action` is None while it waits."""

    id: str
    run_id: str
    node_id: str
    pause_time: datetime = field(metadata=_MOMENT)
    pause_message: str | None = None
    #: What the paused node received.
    input_data: Fields | None = None
    resume_time: datetime | None = field(default=None, metadata=_MOMENT)
    resume_user_id: str | None = None
    resume_action: Action | None = field(default=None, metadata=_as(Action))
    comments: str | None = None


@dataclass(frozen=True, kw_only=True)
class PausedWorkflow(Model):
    """A run that waits, the pause it waits at, and the definition that it runs."""

    run: Run = field(metadata=_as(Run.from_wire))
    current_pause: Pause = field(metadata=_as(Pause.from_wire))
    workflow: Fields


@dataclass(frozen=True, kw_only=True)
class Dataset(Model):
    """Rows in: a CSV, JSONL or Parquet file on the server."""

    id: str
    name: str
    filename: str
    description: str | None = None
    created_at: datetime | None = field(default=None, metadata=_MOMENT)
    updated_at: datetime | None = field(default=None, metadata=_MOMENT)


@dataclass(frozen=True, kw_only=True)
class OutputFile(Model):
    """Rows out: the JSONL file that a batch writes."""

    id: str
    file_name: str
    created_at: datetime | None = field(default=None, metadata=_MOMENT)
    updated_at: datetime | None = field(default=None, metadata=_MOMENT)


@dataclass(frozen=True, kw_only=True)
class Cause(Model):
    """Why rows of a batch failed: one kind of error, how often, and where to see it."""

    signature: str
    count: int
    example_run_id: str | None = None
    example_row: int | None = None


@dataclass(frozen=True, kw_only=True)
class Progress(Model):
    """How far a batch has come; the six counts add up to `total`."""

    total: int
    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    paused: int = 0
    rows_per_s: float | None = None
    #: Seconds until the last row is expected to end.
    eta_s: float | None = None
    tokens: int | None = None
    #: US dollars.
    cost: float | None = None
    causes: tuple[Cause, ...] = field(default=(), metadata=_as(_each(Cause.from_wire)))
    #: The run's status, how many rows may be in flight, and {count, percent, after} that may fail.
    status: Status | None = field(default=None, metadata=_as(Status))
    mini_batch_size: int | None = None
    failure_threshold: Fields | None = None

    @property
    def finished(self) -> int:
        """Rows that have ended, however they ended."""
        return self.completed + self.failed + self.canceled


@dataclass(frozen=True, kw_only=True)
class RefusedRow(Model):
    """A row of a batch that was not decided, and why."""

    row_index: int
    detail: str
    code: str
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class RowDecisions(Model):
    """What became of one decision for many rows: how many were decided and refused, and the first of the latter."""

    decided: int
    refused: int = 0
    refusals: tuple[RefusedRow, ...] = field(default=(), metadata=_as(_each(RefusedRow.from_wire)))


@dataclass(frozen=True)
class Event:
    """A change in a run. `number` grows within the run; `body` says what changed."""

    number: int
    #: `run`, `task`, `pause`, `log` or `batch`.
    kind: str
    body: Mapping[str, Any]

    @property
    def run_status(self) -> Status | None:
        """The status that the run now has; None where the event is about something else."""
        word = self.body.get("status")
        return Status(word) if self.kind == EventKind.RUN and word is not None else None
