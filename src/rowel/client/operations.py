"""Every call of the API as a pure value: what is sent, and how the answer is read. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from rowel.client.errors import RunPaused, StillRunning, UnexpectedAnswer
from rowel.client.messages import Answer, Operation, Request, keyed, path
from rowel.client.models import (
    Dataset,
    Fields,
    Model,
    OutputFile,
    Pause,
    PausedWorkflow,
    Progress,
    Pruned,
    RerunPlan,
    RowDecisions,
    Run,
    Version,
    Workflow,
)
from rowel.client.words import Action, Status

M = TypeVar("M", bound=Model)

Inputs = Mapping[str, Mapping[str, Any]]
Outputs = dict[str, Fields]

#: What the server sends on one page at most.
PAGE_SIZE = 100
#: The server sends a sign of life on an event stream more often than this.
SILENCE_S = 60.0
#: Seconds a blocking call gets beyond the time that the server was given.
MARGIN_S = 30.0
#: Seconds the server is asked to wait with its answer at most: proxies give up on longer ones.
SERVER_WAIT_S = 50.0
#: Seconds the server may take to read a dataset.
READING_S = 300.0
#: Seconds it may take to decide about many rows.
DECIDING_S = 600.0
#: Seconds one call of retention may take: about ten, and then a look at all files.
PRUNING_S = 600.0


def one(model: type[M]) -> Callable[[Answer], M]:
    """Reads one object."""
    return lambda answer: model.from_wire(_object(answer.json()))


def many(model: type[M]) -> Callable[[Answer], list[M]]:
    """Reads a list of objects."""
    return lambda answer: [model.from_wire(_object(item)) for item in _list(answer.json())]


def nothing(_: Answer) -> None:
    """Reads an answer that says no more than its status."""


def outputs(answer: Answer) -> Outputs:
    """Reads a blocking run's outputs. Raises `RunPaused` or `StillRunning` where there are none yet."""
    told = _object(answer.json())
    if answer.status != 202:
        return told
    run = Run.from_wire(_object(told.get("run")))
    if run.status is Status.PAUSED:
        raise RunPaused(run)
    raise StillRunning(run)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"the answer holds {type(value).__name__} where an object should be")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UnexpectedAnswer(f"the answer holds {type(value).__name__} where a list should be")
    return value


def _page(page: int, page_size: int) -> dict[str, int]:
    return {"page": page, "page_size": page_size}


def _start(fresh: bool) -> dict[str, str]:
    return {"fresh": "true"} if fresh else {}


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def create_workflow(name: str, definition: Mapping[str, Any], description: str | None) -> Operation[Workflow]:
    body = _without_none(name=name, definition=definition, description=description)
    return Operation(request=Request(method="POST", path=path("wf"), body=body), read=one(Workflow))


def get_workflow(workflow_id: str) -> Operation[Workflow]:
    return Operation(request=Request(method="GET", path=path("wf", workflow_id)), read=one(Workflow))


def list_workflows(page: int, page_size: int) -> Operation[list[Workflow]]:
    request = Request(method="GET", path=path("wf"), query=_page(page, page_size))
    return Operation(request=request, read=many(Workflow))


def update_workflow(
    workflow_id: str, name: str, definition: Mapping[str, Any], description: str | None
) -> Operation[Workflow]:
    body = _without_none(name=name, definition=definition, description=description)
    return Operation(
        request=Request(method="PUT", path=path("wf", workflow_id), body=body), read=one(Workflow)
    )


def delete_workflow(workflow_id: str) -> Operation[None]:
    return Operation(request=Request(method="DELETE", path=path("wf", workflow_id)), read=nothing)


def duplicate_workflow(workflow_id: str) -> Operation[Workflow]:
    return Operation(
        request=Request(method="POST", path=path("wf", workflow_id, "duplicate"), body={}),
        read=one(Workflow),
    )


def list_versions(workflow_id: str) -> Operation[list[Version]]:
    return Operation(
        request=Request(method="GET", path=path("wf", workflow_id, "versions")), read=many(Version)
    )


def run(
    workflow_id: str,
    inputs: Inputs | None,
    timeout: float | None,
    idempotency_key: str | None = None,
    *,
    fresh: bool = False,
) -> Operation[Outputs]:
    wait_s = SERVER_WAIT_S if timeout is None else min(timeout, SERVER_WAIT_S)
    request = Request(
        method="POST",
        path=path("wf", workflow_id, "run"),
        query={"timeout": wait_s, **_start(fresh)},
        body=_without_none(initial_inputs=inputs),
        headers=keyed(idempotency_key),
        silence_s=wait_s + MARGIN_S,
    )
    return Operation(request=request, read=outputs)


def run_partial(
    workflow_id: str,
    node_id: str,
    inputs: Inputs | None,
    partial_outputs: Inputs | None,
    idempotency_key: str | None = None,
    *,
    fresh: bool = False,
) -> Operation[Outputs]:
    request = Request(
        method="POST",
        path=path("wf", workflow_id, "run_partial"),
        query={"timeout": SERVER_WAIT_S, **_start(fresh)},
        body=_without_none(node_id=node_id, initial_inputs=inputs, partial_outputs=partial_outputs),
        headers=keyed(idempotency_key),
        silence_s=SERVER_WAIT_S + MARGIN_S,
    )
    return Operation(request=request, read=outputs)


def start(
    workflow_id: str,
    inputs: Inputs | None,
    parent_run_id: str | None,
    idempotency_key: str | None = None,
    *,
    fresh: bool = False,
) -> Operation[Run]:
    request = Request(
        method="POST",
        path=path("wf", workflow_id, "start_run"),
        query=_start(fresh),
        body=_without_none(initial_inputs=inputs, parent_run_id=parent_run_id),
        headers=keyed(idempotency_key),
    )
    return Operation(request=request, read=one(Run))


def start_batch(  # noqa: PLR0913  # the words of a batch
    workflow_id: str,
    dataset_id: str,
    mini_batch_size: int,
    *,
    column_map: Mapping[str, str] | None = None,
    failure_threshold: Mapping[str, Any] | None = None,
    canary: int | None = None,
    fresh: bool = False,
    idempotency_key: str | None = None,
) -> Operation[Run]:
    body = _without_none(
        dataset_id=dataset_id,
        mini_batch_size=mini_batch_size,
        column_map=column_map,
        failure_threshold=failure_threshold,
        canary=canary,
    )
    request = Request(
        method="POST",
        path=path("wf", workflow_id, "start_batch_run"),
        query=_start(fresh),
        body=body,
        headers=keyed(idempotency_key),
    )
    return Operation(request=request, read=one(Run))


def check_no_key(idempotency_key: str | None) -> None:
    """Raise `ValueError` where a key is given for a batch over a file."""
    if idempotency_key is not None:
        raise ValueError(
            "with an idempotency_key, name a dataset by its id: a file makes a new dataset each time, so that the same "
            "call would never be the same request"
        )


def prune(older_than: timedelta, *, dry_run: bool) -> Operation[Pruned]:
    body = {"older_than_s": older_than.total_seconds(), "dry_run": dry_run}
    request = Request(method="POST", path=path("prune"), body=body, silence_s=PRUNING_S)
    return Operation(request=request, read=one(Pruned))


def get_batch(run_id: str) -> Operation[Progress]:
    return Operation(request=Request(method="GET", path=path("run", run_id, "batch")), read=one(Progress))


def change_batch(
    run_id: str, *, mini_batch_size: int | None, failure_threshold: Mapping[str, Any] | None
) -> Operation[Progress]:
    body = _without_none(mini_batch_size=mini_batch_size)
    if failure_threshold is not None:
        body["failure_threshold"] = failure_threshold or None
    request = Request(method="PATCH", path=path("run", run_id, "batch"), body=body)
    return Operation(request=request, read=one(Progress))


def redrive(
    run_id: str,
    rows: str | Sequence[int],
    *,
    cause: str | None,
    version: int | str,
    fresh: bool = False,
    idempotency_key: str | None = None,
) -> Operation[Run]:
    named: Any = rows if isinstance(rows, str) else list(rows)
    body = {"rows": named if cause is None else {"cause": cause}, "version": version}
    request = Request(
        method="POST",
        path=path("run", run_id, "batch", "redrive"),
        query=_start(fresh),
        body=body,
        headers=keyed(idempotency_key),
        silence_s=READING_S,
    )
    return Operation(request=request, read=one(Run))


def decide_rows(  # noqa: PLR0913  # the words of a decision
    run_id: str,
    node_id: str,
    action: Action | str,
    *,
    user_id: str,
    inputs: Mapping[str, Any] | None,
    comments: str | None,
    rows: Sequence[int] | None,
    except_rows: Sequence[int] | None,
    idempotency_key: str | None = None,
) -> Operation[RowDecisions]:
    body = _without_none(
        node_id=node_id,
        action=str(Action(action)),
        user_id=user_id,
        inputs=inputs or {},
        comments=comments,
        rows=None if rows is None else list(rows),
        except_rows=None if except_rows is None else list(except_rows),
    )
    request = Request(
        method="POST",
        path=path("run", run_id, "batch", "decide"),
        body=body,
        headers=keyed(idempotency_key),
        silence_s=DECIDING_S,
    )
    return Operation(request=request, read=one(RowDecisions))


def decide(
    run_id: str,
    action: Action | str,
    *,
    user_id: str,
    inputs: Mapping[str, Any] | None,
    comments: str | None,
    node_id: str | None,
    idempotency_key: str | None = None,
) -> Operation[Run]:
    body = _without_none(action=str(Action(action)), user_id=user_id, inputs=inputs or {}, comments=comments)
    request = Request(
        method="POST",
        path=path("wf", "process_pause_action", run_id),
        query={"node_id": node_id},
        body=body,
        headers=keyed(idempotency_key),
    )
    return Operation(request=request, read=one(Run))


def cancel(run_id: str) -> Operation[Run]:
    return Operation(
        request=Request(method="POST", path=path("wf", "cancel_workflow", run_id), body={}), read=one(Run)
    )


def rerun(
    run_id: str,
    *,
    from_nodes: Sequence[str] | None,
    edits: Inputs | None,
    inputs: Inputs | None,
    version: int | str,
    fresh: bool = False,
    idempotency_key: str | None = None,
) -> Operation[Run]:
    body = _rerun_body(from_nodes, edits, inputs, version)
    request = Request(
        method="POST",
        path=path("run", run_id, "rerun"),
        query=_start(fresh),
        body=body,
        headers=keyed(idempotency_key),
    )
    return Operation(request=request, read=one(Run))


def plan_rerun(
    run_id: str,
    *,
    from_nodes: Sequence[str] | None,
    edits: Inputs | None,
    inputs: Inputs | None,
    version: int | str,
) -> Operation[RerunPlan]:
    body = {**_rerun_body(from_nodes, edits, inputs, version), "dry_run": True}
    return Operation(
        request=Request(method="POST", path=path("run", run_id, "rerun"), body=body), read=one(RerunPlan)
    )


def _rerun_body(
    from_nodes: Sequence[str] | None, edits: Inputs | None, inputs: Inputs | None, version: int | str
) -> dict[str, Any]:
    nodes = None if from_nodes is None else list(from_nodes)
    return _without_none(from_nodes=nodes, edits=edits, initial_inputs=inputs, version=version)


def get_run(run_id: str, *, is_slim: bool = False) -> Operation[Run]:
    """A slim run comes without inputs, outputs and logs."""
    request = Request(method="GET", path=path("run", run_id), query={"slim": "true" if is_slim else None})
    return Operation(request=request, read=one(Run))


def list_runs(
    workflow_id: str | None,
    *,
    status: str | None,
    run_type: str | None,
    rerun_of: str | None,
    page: int,
    page_size: int,
) -> Operation[list[Run]]:
    wanted = {"status": status, "run_type": run_type, "rerun_of": rerun_of}
    if workflow_id is None:
        request = Request(method="GET", path=path("run"), query={**wanted, "limit": page_size})
    else:
        request = Request(
            method="GET", path=path("wf", workflow_id, "runs"), query={**wanted, **_page(page, page_size)}
        )
    return Operation(request=request, read=many(Run))


def list_paused(page: int, page_size: int) -> Operation[list[PausedWorkflow]]:
    request = Request(method="GET", path=path("wf", "paused_workflows"), query=_page(page, page_size))
    return Operation(request=request, read=many(PausedWorkflow))


def pause_history(run_id: str) -> Operation[list[Pause]]:
    return Operation(
        request=Request(method="GET", path=path("wf", "pause_history", run_id)), read=many(Pause)
    )


def upload_dataset(name: str, file: Path, description: str | None) -> Operation[Dataset]:
    request = Request(
        method="POST",
        path=path("ds"),
        query={"name": name, "description": description},
        upload=file,
        silence_s=READING_S,
    )
    return Operation(request=request, read=one(Dataset))


def list_datasets() -> Operation[list[Dataset]]:
    return Operation(request=Request(method="GET", path=path("ds")), read=many(Dataset))


def get_dataset(dataset_id: str) -> Operation[Dataset]:
    return Operation(request=Request(method="GET", path=path("ds", dataset_id)), read=one(Dataset))


def preview_dataset(dataset_id: str, start: int, limit: int) -> Operation[list[dict[str, Any]]]:
    request = Request(
        method="GET", path=path("ds", dataset_id, "rows"), query={"start": start, "limit": limit}
    )
    return Operation(
        request=request, read=lambda answer: [_object(item)["values"] for item in _list(answer.json())]
    )


def delete_dataset(dataset_id: str) -> Operation[None]:
    return Operation(request=Request(method="DELETE", path=path("ds", dataset_id)), read=nothing)


def list_outputs() -> Operation[list[OutputFile]]:
    return Operation(request=Request(method="GET", path=path("of")), read=many(OutputFile))


def get_output(file_id: str) -> Operation[OutputFile]:
    return Operation(request=Request(method="GET", path=path("of", file_id)), read=one(OutputFile))


def delete_output(file_id: str) -> Operation[None]:
    return Operation(request=Request(method="DELETE", path=path("of", file_id)), read=nothing)


def download_output(file_id: str, file_format: str = "jsonl") -> Request:
    query = {"format": None if file_format == "jsonl" else file_format}
    return Request(method="GET", path=path("of", file_id, "download"), query=query, silence_s=SILENCE_S)


def node_types() -> Operation[dict[str, Any]]:
    return Operation(
        request=Request(method="GET", path=path("node", "supported_types")),
        read=lambda answer: _object(answer.json()),
    )


def events(run_id: str, after: int) -> Request:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}
    return Request(method="GET", path=path("run", run_id, "events"), headers=headers, silence_s=SILENCE_S)


def is_ready() -> Operation[None]:
    return Operation(request=Request(method="GET", path="/health/ready"), read=nothing)
