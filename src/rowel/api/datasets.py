"""Datasets: rows for batches."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import answer, nothing
from rowel.api.multipart import TAKES_FILE, open_file_part
from rowel.api.queries import OfDataset, OfRows, OptionalPages
from rowel.api.refusals import refusals
from rowel.api.rendering import dataset_response, run_response
from rowel.api.routes import EngineOf, LimitsOf, resource
from rowel.api.schemas import DatasetResponse, DatasetRowResponse, RunResponse
from rowel.core.status import RunType
from rowel.store.runs import Filter

router = resource("datasets")

#: More runs than one dataset ever has.
ALL = 1_000_000


@router.post("/ds/", response_model=DatasetResponse, openapi_extra=TAKES_FILE)
async def upload_dataset(query: OfDataset, request: Request, limits: LimitsOf, engine: EngineOf) -> Response:
    """Keep a CSV, JSONL or Parquet file as a dataset; the extension of its name says which."""
    sent = await open_file_part(request, limits.upload)
    dataset = await engine.add_dataset(query.name, query.description, sent.filename, sent.parts)
    return answer(dataset_response(dataset))


@router.get("/ds/", response_model=list[DatasetResponse])
async def list_datasets(pages: OptionalPages, engine: EngineOf) -> Response:
    """Datasets, newest first; all of them unless paged."""
    found = await engine.list_datasets(limit=pages.at_most, offset=pages.offset)
    return answer([dataset_response(dataset) for dataset in found])


@router.get("/ds/{dataset_id}/", response_model=DatasetResponse)
async def get_dataset(dataset_id: str, engine: EngineOf) -> Response:
    return answer(dataset_response(await engine.get_dataset(dataset_id)))


@router.get("/ds/{dataset_id}/rows/", response_model=list[DatasetRowResponse])
async def preview_dataset(dataset_id: str, query: OfRows, engine: EngineOf) -> Response:
    """Some rows as batches get them; fewer than asked for where they are large."""
    found = await engine.preview_dataset(dataset_id, start=query.start, limit=query.limit)
    return answer([{"row_index": row.index, "values": row.values} for row in found])


@router.delete("/ds/{dataset_id}/", status_code=204, responses=refusals(409))
async def delete_dataset(dataset_id: str, engine: EngineOf) -> Response:
    """Forget a dataset and its file, unless a batch reads it."""
    await engine.delete_dataset(dataset_id)
    return nothing()


@router.get("/ds/{dataset_id}/list_runs/", response_model=list[RunResponse])
async def list_dataset_runs(dataset_id: str, pages: OptionalPages, engine: EngineOf) -> Response:
    """The batches over a dataset, newest first; all of them unless paged."""
    await engine.get_dataset(dataset_id)
    wanted = Filter(dataset_id=dataset_id, run_type=RunType.BATCH)
    found = await engine.list_runs(wanted, limit=pages.at_most or ALL, offset=pages.offset)
    now = engine.now()
    return answer([run_response(view, now) for view in found])
