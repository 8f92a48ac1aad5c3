"""Output files: what batches wrote, a line a row."""

from __future__ import annotations

from starlette.responses import Response

from rowel.api.answers import answer, download, nothing
from rowel.api.queries import AsFormat, OptionalPages
from rowel.api.refusals import refusals
from rowel.api.rendering import output_file_response
from rowel.api.routes import EngineOf, resource
from rowel.api.schemas import OutputFileResponse
from rowel.files.tables import OutputFormat

router = resource("output files")

#: What each format is called in HTTP.
MEDIA_TYPES = {
    OutputFormat.JSONL: "application/x-ndjson",
    OutputFormat.CSV: "text/csv; charset=utf-8",
    OutputFormat.PARQUET: "application/vnd.apache.parquet",
}


@router.get("/of/", response_model=list[OutputFileResponse])
async def list_output_files(pages: OptionalPages, engine: EngineOf) -> Response:
    """Output files, newest first; all of them unless paged."""
    found = await engine.list_output_files(limit=pages.at_most, offset=pages.offset)
    return answer([output_file_response(file) for file in found])


@router.get("/of/{file_id}/", response_model=OutputFileResponse)
async def get_output_file(file_id: str, engine: EngineOf) -> Response:
    return answer(output_file_response(await engine.get_output_file(file_id)))


@router.get(
    "/of/{file_id}/download/",
    response_class=Response,
    responses={
        200: {
            "description": "One JSON object a row, or a table.",
            "content": {name: {"schema": {"type": "string"}} for name in MEDIA_TYPES.values()},
        },
        **refusals(409),
    },
)
async def download_output_file(file_id: str, query: AsFormat, engine: EngineOf) -> Response:
    """The file itself, once its batch has ended."""
    file, parts = await engine.open_output(file_id, query.format)
    return download(_named(file.file_name, query.format), parts, MEDIA_TYPES[query.format])


def _named(name: str, kind: OutputFormat) -> str:
    """The file's name with the extension of its format."""
    return f"{name.removesuffix('.jsonl')}.{kind}"


@router.delete("/of/{file_id}/", status_code=204, responses=refusals(409))
async def delete_output_file(file_id: str, engine: EngineOf) -> Response:
    """Forget an output file, unless its batch still writes it."""
    await engine.delete_output_file(file_id)
    return nothing()
