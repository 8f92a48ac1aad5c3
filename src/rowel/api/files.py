"""Files for the `files` of a run's inputs."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from rowel.api.answers import answer, download, nothing
from rowel.api.multipart import TAKES_FILE, open_file_part
from rowel.api.rendering import file_response
from rowel.api.routes import EngineOf, LimitsOf, resource
from rowel.api.schemas import FileResponse

router = resource("files")

BINARY = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")


@router.post("/files/", response_model=FileResponse, openapi_extra=TAKES_FILE)
async def upload_file(request: Request, limits: LimitsOf, engine: EngineOf) -> Response:
    """Keep a file. Its `path` is what a run's `files` take."""
    sent = await open_file_part(request, limits.upload)
    media_type = (sent.media_type or "").partition(";")[0].strip()
    known = media_type if _MEDIA_TYPE.fullmatch(media_type) else None
    return answer(file_response(await engine.add_file(sent.filename, known, sent.parts)))


@router.get(
    "/files/{path:path}",
    response_class=Response,
    responses={200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def download_file(path: str, engine: EngineOf) -> Response:
    """A file that was uploaded or sent as a data URI."""
    upload, parts = await engine.open_file(path)
    return download(upload.name, parts, BINARY, upload.size)


@router.delete("/files/{path:path}", status_code=204)
async def delete_file(path: str, engine: EngineOf) -> Response:
    await engine.delete_file(path)
    return nothing()
