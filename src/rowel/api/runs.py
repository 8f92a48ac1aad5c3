"""Reading runs: one, a workflow's, all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import answer
from rowel.api.cursors import cursor_after, next_link, read_cursor
from rowel.api.errors import mistake
from rowel.api.ids import known_id
from rowel.api.queries import AllRuns, RunsQuery, Slim, WorkflowRuns
from rowel.api.refusals import refusals
from rowel.api.rendering import run_response, task_response
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import RunResponse, TaskResponse
from rowel.engine.engine import Engine
from rowel.engine.views import RunView
from rowel.store.runs import Filter

router = resource("runs")


@router.get("/wf/{workflow_id}/runs/", response_model=list[RunResponse])
async def list_workflow_runs(
    workflow_id: str, query: WorkflowRuns, request: Request, engine: EngineOf
) -> Response:
    """A workflow's runs, newest start first: rows of batches and runs with a parent included."""
    wanted = await _filter(engine, query, workflow_id, query.start_date, query.end_date)
    if query.cursor is not None and query.page > 1:
        raise mistake("a cursor and a page can't both be given", "query", "cursor")
    return await _list(engine, wanted, request, query, limit=query.page_size, offset=query.offset)


@router.get("/run/", response_model=list[RunResponse], responses=refusals(404))
async def list_runs(query: AllRuns, request: Request, engine: EngineOf) -> Response:
    """All runs, newest start first. The header `Link` with `rel="next"` tells where the list goes on."""
    workflow_id = None if query.workflow_id is None else known_id(query.workflow_id, "workflow")
    wanted = await _filter(engine, query, workflow_id, query.since, query.until)
    if query.cursor is not None and query.offset:
        raise mistake("a cursor and a page can't both be given", "query", "cursor")
    limit = query.limit if query.page is None and query.page_size is None else query.page_size or 10
    return await _list(engine, wanted, request, query, limit=limit, offset=query.offset)


@router.get("/run/{run_id}/", response_model=RunResponse)
async def get_run(run_id: str, query: Slim, engine: EngineOf) -> Response:
    """One run with its tasks."""
    view = await engine.get_run(run_id)
    return answer(run_response(view, engine.now(), slim=query.slim))


@router.get("/run/{run_id}/status/", response_model=RunResponse)
async def get_run_status(run_id: str, query: Slim, engine: EngineOf) -> Response:
    """The same as the run itself, under the name that older clients use."""
    view = await engine.get_run(run_id)
    return answer(run_response(view, engine.now(), slim=query.slim))


@router.get("/run/{run_id}/tasks/", response_model=list[TaskResponse])
async def list_tasks(run_id: str, query: Slim, engine: EngineOf) -> Response:
    """One task per node of the run, and per node and iteration inside loops."""
    view = await engine.get_run(run_id)
    return answer([task_response(view, task, slim=query.slim) for task in view.tasks])


async def _filter(
    engine: Engine, query: RunsQuery, workflow_id: str | None, since: datetime | None, until: datetime | None
) -> Filter:
    if query.parent_run_id is not None:
        await engine.get_run(known_id(query.parent_run_id, "run"))
    if query.rerun_of is not None:
        await engine.get_run(known_id(query.rerun_of, "run"))
    return Filter(
        workflow_id=workflow_id,
        statuses=query.status,
        run_type=query.run_type,
        parent_run_id=query.parent_run_id,
        origin_id=query.rerun_of,
        since=since,
        until=until,
        before=None if query.cursor is None else read_cursor(query.cursor),
    )


async def _list(
    engine: Engine, wanted: Filter, request: Request, query: RunsQuery, *, limit: int, offset: int
) -> Response:
    found = await engine.list_runs(wanted, limit=limit + 1, offset=offset)
    shown = found[:limit]
    now = engine.now()
    return answer(
        [run_response(view, now, slim=query.slim) for view in shown],
        headers=_link(request, shown, has_more=len(found) > limit),
    )


def _link(request: Request, shown: Sequence[RunView], *, has_more: bool) -> dict[str, str] | None:
    return next_link(request, cursor_after(shown[-1].run)) if has_more else None
