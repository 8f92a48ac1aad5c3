"""Every call of the API as a pure value: what is sent, and how the answer is read. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from rowel.client.errors import UnexpectedAnswer
from rowel.client.messages import Answer, Operation, Query, Request, path
from rowel.client.models import (
    Dataset,
    Fields,
    Model,
    OutputFile,
    Pause,
    PausedWorkflow,
    Progress,
    Run,
    Version,
    Workflow,
)
from rowel.client.words import Action

M = TypeVar("M", bound=Model)

#: {node id: {field: value}}
Inputs = Mapping[str, Mapping[str, Any]]
Outputs = dict[str, Fields]
#: {category: [node type]}
NodeTypes = dict[str, list[Fields]]

#: What the server sends on one page at most.
PAGE_SIZE = 100
#: Event streams carry a sign of life more often than this.
SILENCE_S = 60.0
#: How much longer than it was asked to wait a blocking call may take to answer.
GRACE_S = 30.0

_NEXT_CURSOR = re.compile(r'[?&]cursor=([^&>]+)[^>]*>;\s*rel="?next"?')


class Keep(Enum):
    """The mark of what an update leaves as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


def _one(model: type[M]) -> Callable[[Answer], M]:
    return lambda answer: model.from_wire(answer.json())


def _many(model: type[M]) -> Callable[[Answer], list[M]]:
    return lambda answer: [model.from_wire(item) for item in _list(answer)]


def _list(answer: Answer) -> list[Any]:
    told = answer.json()
    if not isinstance(told, list):
        raise UnexpectedAnswer("the answer is not a list")
    return told


def _object(answer: Answer) -> dict[str, Any]:
    told = answer.json()
    if not isinstance(told, dict):
        raise UnexpectedAnswer("the answer is not a JSON object")
    return told


def _nothing(answer: Answer) -> None:
    return None


def _get(model: type[M], *parts: str, query: Query | None = None) -> Operation[M]:
    return Operation(request=Request(method="GET", path=path(*parts), query=query or {}), read=_one(model))


def _list_of(model: type[M], *parts: str, query: Query | None = None) -> Operation[list[M]]:
    return Operation(request=Request(method="GET", path=path(*parts), query=query or {}), read=_many(model))


def _delete(*parts: str) -> Operation[None]:
    return Operation(request=Request(method="DELETE", path=path(*parts)), read=_nothing)


def _given(**values: Any) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _page(page: int, size: int) -> Query:
    return {"page": page, "page_size": size}


def create_workflow(name: str, definition: Fields, description: str | None) -> Operation[Workflow]:
    body = {"name": name, "definition": definition, **_given(description=description)}
    return Operation(request=Request(method="POST", path="/wf/", body=body), read=_one(Workflow))


def get_workflow(workflow_id: str) -> Operation[Workflow]:
    return _get(Workflow, "wf", workflow_id)


def list_workflows(page: int, size: int) -> Operation[list[Workflow]]:
    return _list_of(Workflow, "wf", query=_page(page, size))


def update_workflow(
    workflow_id: str, name: str, definition: Fields, description: str | None | Keep
) -> Operation[Workflow]:
    body: dict[str, Any] = {"name": name, "definition": definition}
    if description is not KEEP:
        body["description"] = description
    return Operation(request=Request(method="PUT", path=path("wf", workflow_id), body=body), read=_one(Workflow))


def delete_workflow(workflow_id: str) -> Operation[None]:
    return _delete("wf", workflow_id)


def duplicate_workflow(workflow_id: str) -> Operation[Workflow]:
    return Operation(request=Request(method="POST", path=path("wf", workflow_id, "duplicate")), read=_one(Workflow))


def list_versions(workflow_id: str, page: int, size: int) -> Operation[list[Version]]:
    return _list_of(Version, "wf", workflow_id, "versions", query=_page(page, size))


def node_types() -> Operation[NodeTypes]:
    return Operation(request=Request(method="GET", path="/node/supported_types/"), read=_object)


def _starting(workflow_id: str, verb: str, body: Mapping[str, Any], wait_s: float | None = None) -> Request:
    """A request that starts a run; `wait_s` is how long the server holds it until the run rests."""
    return Request(
        method="POST",
        path=path("wf", workflow_id, verb),
        query={"timeout": wait_s},
        body=body,
        is_once=True,
        silence_s=None if wait_s is None else wait_s + GRACE_S,
    )


def run(workflow_id: str, inputs: Inputs | None, wait_s: float) -> Operation[Outputs | Run]:
    """The outputs, or the run where it is paused or still running."""
    return Operation(
        request=_starting(workflow_id, "run", _given(initial_inputs=inputs), wait_s), read=_outputs_or_run
    )


def run_partial(
    workflow_id: str, node_id: str, inputs: Inputs | None, partial_outputs: Inputs | None, wait_s: float
) -> Operation[Outputs | Run]:
    body = _given(node_id=node_id, initial_inputs=inputs, partial_outputs=partial_outputs)
    return Operation(request=_starting(workflow_id, "run_partial", body, wait_s), read=_outputs_or_run)


def _outputs_or_run(answer: Answer) -> Outputs | Run:
    told = _object(answer)
    return Run.from_wire(told.get("run") or {}) if answer.status == 202 else told


def start(workflow_id: str, inputs: Inputs | None) -> Operation[Run]:
    return Operation(
        request=_starting(workflow_id, "start_run", _given(initial_inputs=inputs)), read=_one(Run)
    )


def start_batch(workflow_id: str, dataset_id: str, mini_batch_size: int) -> Operation[Run]:
    body = {"dataset_id": dataset_id, "mini_batch_size": mini_batch_size}
    return Operation(request=_starting(workflow_id, "start_batch_run", body), read=_one(Run))


def get_run(run_id: str, *, is_slim: bool = False) -> Operation[Run]:
    """The run; a slim one has no tasks and no data."""
    return _get(Run, "run", run_id, query={"slim": "true"} if is_slim else None)


def list_workflow_runs(workflow_id: str, page: int, size: int, query: Query) -> Operation[list[Run]]:
    return _list_of(Run, "wf", workflow_id, "runs", query={**_page(page, size), **query})


def list_runs(cursor: str | None, size: int, query: Query) -> Operation[tuple[list[Run], str | None]]:
    """A page of all runs, with the cursor of the next page."""
    request = Request(method="GET", path="/run/", query={"limit": size, "cursor": cursor, **query})
    return Operation(request=request, read=lambda answer: (_many(Run)(answer), _next_cursor(answer)))


def _next_cursor(answer: Answer) -> str | None:
    found = _NEXT_CURSOR.search(answer.headers.get("link", ""))
    return unquote(found.group(1)) if found else None


def runs_query(
    *,
    status: str | None = None,
    run_type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    of_workflow: bool,
) -> Query:
    """The filter of a list of runs; of one workflow's runs the API calls the bounds by other names."""
    first, last = ("start_date", "end_date") if of_workflow else ("since", "until")
    return _given(
        status=status,
        run_type=run_type,
        **{first: since and since.isoformat(), last: until and until.isoformat()},
    )


def cancel(run_id: str) -> Operation[Run]:
    return Operation(request=Request(method="POST", path=path("wf", "cancel_workflow", run_id)), read=_one(Run))


def decide(
    run_id: str,
    action: str,
    *,
    user_id: str,
    inputs: Mapping[str, Any] | None,
    comments: str | None,
    node_id: str | None,
) -> Operation[Run]:
    """Raises `ValueError` where the action is none of the three."""
    body = {"action": Action(action), "user_id": user_id, "inputs": inputs or {}, **_given(comments=comments)}
    request = Request(
        method="POST",
        path=path("wf", "process_pause_action", run_id),
        query={"node_id": node_id},
        body=body,
        is_once=True,
    )
    return Operation(request=request, read=_one(Run))


def paused(page: int, size: int) -> Operation[list[PausedWorkflow]]:
    return _list_of(PausedWorkflow, "wf", "paused_workflows", query=_page(page, size))


def pause_history(run_id: str) -> Operation[list[Pause]]:
    return _list_of(Pause, "wf", "pause_history", run_id)


def progress(run_id: str) -> Operation[Progress]:
    return _get(Progress, "run", run_id, "batch")


def events(run_id: str, after: int) -> Request:
    """The stream of the run's events after number `after`."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}
    return Request(method="GET", path=path("run", run_id, "events"), headers=headers, silence_s=SILENCE_S)


def upload_dataset(file: Path, name: str, description: str | None) -> Operation[Dataset]:
    request = Request(
        method="POST", path="/ds/", query={"name": name, "description": description}, upload=file
    )
    return Operation(request=request, read=_one(Dataset))


def get_dataset(dataset_id: str) -> Operation[Dataset]:
    return _get(Dataset, "ds", dataset_id)


def list_datasets() -> Operation[list[Dataset]]:
    return _list_of(Dataset, "ds")


def delete_dataset(dataset_id: str) -> Operation[None]:
    return _delete("ds", dataset_id)


def dataset_runs(dataset_id: str) -> Operation[list[Run]]:
    return _list_of(Run, "ds", dataset_id, "list_runs")


def get_output(file_id: str) -> Operation[OutputFile]:
    return _get(OutputFile, "of", file_id)


def list_outputs() -> Operation[list[OutputFile]]:
    return _list_of(OutputFile, "of")


def delete_output(file_id: str) -> Operation[None]:
    return _delete("of", file_id)


def download(file_id: str) -> Request:
    """The bytes of an output file."""
    return Request(method="GET", path=path("of", file_id, "download"))
