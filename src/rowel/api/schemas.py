"""The wire format: what requests hold and what answers hold, with PySpur's names."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from rowel.api.fields import Name, Object, ObjectsByNode, Remark
from rowel.core.rerun import Fate
from rowel.core.status import PauseAction, RunStatus, RunType, TaskStatus

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Outputs = Annotated[dict[str, Any], Field(description="{node id: that node's outputs}")]


class _Request(BaseModel):
    """A request's body. Types are taken as they are, never converted; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class WorkflowRequest(_Request):
    name: Name
    description: Remark = None
    definition: Annotated[Any, Field(json_schema_extra={"type": "object"})]


class StartRunRequest(_Request):
    initial_inputs: ObjectsByNode | None = None
    parent_run_id: str | None = None
    files: Annotated[
        dict[str, list[str]] | None,
        Field(description="{node id: paths}: the field `files` of that node's input."),
    ] = None


class PartialRunRequest(_Request):
    node_id: str
    initial_inputs: ObjectsByNode | None = None
    partial_outputs: ObjectsByNode | None = None


class FailureThreshold(_Request):
    """How many rows may fail before no more are begun and the batch ends FAILED."""

    count: Annotated[int | None, Field(ge=0, description="So many rows may fail.")] = None
    percent: Annotated[
        float | None, Field(ge=0, le=100, description="So many of the rows that have ended may fail.")
    ] = None
    after: Annotated[
        int | None, Field(ge=1, description="The share is judged once so many rows have ended.")
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.count is None and self.percent is None:
            raise ValueError("must say count or percent, or both")
        if self.after is not None and self.percent is None:
            raise ValueError("after is about percent, which is not said")
        return self


MiniBatchSize = Annotated[int, Field(ge=1, le=10_000, description="Rows in flight at a time.")]


class BatchRunRequest(_Request):
    dataset_id: str
    mini_batch_size: MiniBatchSize = 10
    column_map: Annotated[
        dict[str, str] | None,
        Field(description="{field of the input node: column} where they are not called alike."),
    ] = None
    failure_threshold: FailureThreshold | None = None
    canary: Annotated[
        int | None,
        Field(ge=1, le=10_000_000, description="So many rows are tried before a person approves the others."),
    ] = None


class BatchChangeRequest(_Request):
    """What is not there stays as it is; a `failure_threshold` of null is none."""

    mini_batch_size: MiniBatchSize | None = None
    failure_threshold: FailureThreshold | None = None


class RerunRequest(_Request):
    """What is to be different this time; nothing: what did not complete runs, or else all of it."""

    from_nodes: Annotated[list[str] | None, Field(description="Node ids: these and all behind them run.")] = (
        None
    )
    edits: Annotated[
        ObjectsByNode | None,
        Field(description="{node id: outputs}: taken in place of what the node gave; all behind it runs."),
    ] = None
    initial_inputs: ObjectsByNode | None = None
    version: Annotated[
        Literal["same", "latest"] | Annotated[int, Field(ge=1, le=2**31 - 1)],
        Field(description="The version that the run had, the newest one, or one by its number."),
    ] = "same"
    dry_run: Annotated[bool, Field(description="Start nothing and answer the plan.")] = False


class ResumeRunRequest(_Request):
    inputs: Object
    user_id: Name
    action: Literal["APPROVE", "DECLINE", "OVERRIDE"]
    comments: Remark = None


class PruneRequest(_Request):
    """Removes what ended more than so many seconds ago."""

    older_than_s: Annotated[float, Field(ge=0, le=3_200_000_000, allow_inf_nan=False)]
    dry_run: Annotated[bool, Field(description="Count, and remove nothing.")] = False


class TemplateRequest(_Request):
    """A template as `GET /templates/` lists it; its `file_name` counts, a `name` of one's own is taken."""

    file_name: str
    name: Name | None = None
    description: Remark = None


RowNumbers = Annotated[list[Annotated[int, Field(ge=0)]], Field(description="Rows of the dataset, from 0.")]


class RowDecisionRequest(ResumeRunRequest):
    """One decision for many rows: all that wait at the node, or `rows`, without `except_rows`."""

    node_id: str
    rows: RowNumbers | None = None
    except_rows: RowNumbers | None = None


class RowsOfCause(_Request):
    cause: Annotated[str, Field(description="A `signature` of the batch's `causes`.")]


class RedriveRequest(_Request):
    rows: Annotated[
        Literal["failed", "unfinished"] | RowNumbers | RowsOfCause,
        Field(description="`unfinished` are those that did not complete: failed, canceled or never begun."),
    ] = "failed"
    version: Annotated[
        Literal["same", "latest"] | Annotated[int, Field(ge=1)],
        Field(description="On which version they run: `same` as the batch's, `latest`, or a number."),
    ] = "same"


class Mistake(TypedDict):
    type: str
    loc: list[str | int]
    msg: str


class DefinitionProblem(TypedDict):
    message: str
    node_id: str | None
    field: str | None


class WorkflowVersion(TypedDict):
    id: str
    version: int
    name: str
    description: str | None
    definition: dict[str, Any] | None
    definition_hash: str
    created_at: Time
    updated_at: Time


class TaskUsage(TypedDict):
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


class TaskResponse(TypedDict):
    id: str
    run_id: str
    node_id: str
    parent_task_id: str | None
    status: TaskStatus
    inputs: dict[str, Any] | None
    outputs: dict[str, Any] | None
    error: str | None
    start_time: Time | None
    end_time: Time | None
    subworkflow: dict[str, Any] | None
    subworkflow_output: dict[str, list[dict[str, Any]]] | None
    attempt: int
    usage: TaskUsage | None
    logs: list[str] | None
    reused: Annotated[
        bool, Field(description="It was taken over from the run that this one repeats, not executed.")
    ]
    given: Annotated[bool, Field(description="Its outputs were given in the request, not made by the node.")]
    cached: Annotated[bool, Field(description="Its outputs came from the step cache: the node was not run.")]


class RunResponse(TypedDict):
    id: str
    workflow_id: str
    workflow_version_id: str
    workflow_version: WorkflowVersion
    status: RunStatus
    start_time: Time
    end_time: Time | None
    initial_inputs: dict[str, Any] | None
    outputs: Outputs | None
    tasks: list[TaskResponse]
    parent_run_id: str | None
    run_type: RunType
    output_file_id: str | None
    input_dataset_id: str | None
    message: str | None
    duration: Annotated[float, Field(description="Seconds")]
    percentage_complete: Annotated[float, Field(ge=0, le=100)]
    row_index: int | None
    rerun_of: Annotated[str | None, Field(description="The run that this one repeats.")]
    redrive_of: Annotated[str | None, Field(description="The batch of which this one runs rows again.")]


class PlannedNode(TypedDict):
    node_id: str
    fate: Fate
    why: Annotated[str, Field(description="A sentence's end, for people: it failed.")]
    touches_outside: Annotated[bool, Field(description="It runs, and may call or change something outside.")]


class RerunPlan(TypedDict):
    rerun_of: str
    workflow_id: str
    version: Annotated[int, Field(description="The version that it would run on.")]
    nodes: list[PlannedNode]


class FailureCause(TypedDict):
    """What error messages of rows have in common: numbers, ids, addresses and quoted values are blanked."""

    signature: str
    count: int
    example_run_id: str
    example_row: int


class Threshold(TypedDict):
    count: int | None
    percent: float | None
    after: int | None


class BatchResponse(TypedDict):
    run_id: str
    status: RunStatus
    total: int
    queued: Annotated[int, Field(description="Rows that have not begun. The six counts add up to the total.")]
    running: int
    completed: int
    failed: int
    canceled: int
    paused: int
    rows_per_s: Annotated[
        float | None, Field(description="Over the last half minute; of an ended batch, over all its time.")
    ]
    eta_s: Annotated[float | None, Field(description="Seconds until the last row is expected to end.")]
    tokens: int
    cost: Annotated[float | None, Field(description="US dollars; null where no price is known.")]
    causes: Annotated[list[FailureCause], Field(description="The 100 most frequent ones.")]
    mini_batch_size: int
    failure_threshold: Threshold | None


class RefusedRow(TypedDict):
    """A row that was not decided."""

    row_index: int
    run_id: str | None
    detail: str
    code: str


class RowDecisionResponse(TypedDict):
    decided: int
    refused: Annotated[int, Field(description="How many were not; the first 1,000 of them are listed.")]
    refusals: list[RefusedRow]


class Refusal(TypedDict):
    """Why a request was not done."""

    detail: Annotated[
        str | list[Mistake], Field(description="A sentence; where the request itself is wrong, a list.")
    ]
    code: Annotated[str, Field(description="A stable word.")]
    run: NotRequired[RunResponse]
    problems: NotRequired[list[DefinitionProblem]]


class Unfinished(TypedDict):
    """A blocking run that has no outputs to answer (yet)."""

    detail: str
    code: Literal["paused", "running"]
    run: RunResponse


class PauseHistory(TypedDict):
    id: str
    run_id: str
    node_id: str
    pause_message: str | None
    pause_time: Time
    resume_time: Time | None
    resume_user_id: str | None
    resume_action: PauseAction | None
    input_data: dict[str, Any] | None
    comments: str | None
    task_id: str
    form: dict[str, Any] | None
    assignees: list[str]
    due_at: Time | None
    on_timeout: str | None
    resume_inputs: dict[str, Any] | None


class PausedWorkflow(TypedDict):
    run: RunResponse
    current_pause: PauseHistory
    workflow: dict[str, Any]


class WorkflowResponse(TypedDict):
    id: str
    name: str
    description: str | None
    definition: dict[str, Any]
    created_at: Time
    updated_at: Time
    facts: Annotated[
        dict[str, Any], Field(description="{node id: what was found out about the node when it was saved}")
    ]


class OutputVariable(TypedDict):
    node_id: str
    node_title: str
    variable_name: str
    prefixed_variable: str


class DatasetResponse(TypedDict):
    id: str
    name: str
    description: str | None
    filename: str
    created_at: Time
    updated_at: Time
    format: str
    columns: list[str]
    rows: int
    size: Annotated[int, Field(description="Bytes")]


class DatasetRowResponse(TypedDict):
    row_index: int
    values: dict[str, Any]


class OutputFileResponse(TypedDict):
    id: str
    file_name: str
    created_at: Time
    updated_at: Time
    run_id: str
    is_ready: bool


class FileResponse(TypedDict):
    path: str
    name: str
    size: Annotated[int, Field(description="Bytes")]
    media_type: str


class TemplateResponse(TypedDict):
    name: str
    description: str | None
    features: list[str]
    file_name: str


class HealthResponse(TypedDict):
    status: Literal["ok"]


class PruneResponse(TypedDict):
    runs: Annotated[int, Field(description="With the rows of batches and the runs inside of runs.")]
    tasks: int
    events: int
    output_files: int
    orphans: Annotated[int, Field(description="Files that no record named.")]
    bytes: Annotated[int, Field(description="Of all these files.")]
    is_complete: Annotated[bool, Field(description="Whether nothing is left; else ask again.")]
