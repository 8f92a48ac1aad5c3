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
    upload = await engine.add_file(sent.filename, _known(media_type), sent.parts)
    return answer(file_response(upload))


@router.get(
    "/files/{path:path}",
    response_class=Response,
    responses={200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def download_file(path: str, engine: EngineOf) -> Response:
    """A file that was uploaded or sent as a data URI, to be saved under its name."""
    upload, parts = await engine.open_file(path)
    return download(upload.name, parts, _known(upload.media_type) or BINARY, upload.size)


@router.delete("/files/{path:path}", status_code=204)
async def delete_file(path: str, engine: EngineOf) -> Response:
    await engine.delete_file(path)
    return nothing()


def _known(media_type: str) -> str | None:
    """The media type, if it is one that a header may say."""
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else None
