"""Reads the file of a multipart body while it arrives: nothing of it is kept in memory or on disk here."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from rowel.api.errors import mistake
from rowel.core.errors import Invalid, TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_PART = "file"

#: The OpenAPI of a route that takes a file.
TAKES_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FILE_PART],
                    "properties": {FILE_PART: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


#: What follows one another in a body: a part's headers, pieces of its data, its end (None).
Step = Message | bytes | None


@dataclass(frozen=True)
class SentFile:
    """A file that is arriving: the name and the media type that the client says, and its bytes."""

    filename: str
    media_type: str | None
    parts: AsyncIterator[bytes]


async def open_file_part(request: Request, limit: int) -> SentFile:
    """Read up to the begin of the part named `file`.

    Raises a mistake where there is no such part, and `Invalid` where the body is no multipart body. The parts raise
    `TooLarge` past `limit` bytes, and `Invalid` where the body ends too early.
    """
    steps = _steps(request)
    async for step in steps:
        if isinstance(step, Message) and step.get_param("name", header="content-disposition") == FILE_PART:
            filename = step.get_filename()
            if not filename:
                raise mistake("must be a file, with a file name", "body", FILE_PART)
            return SentFile(filename, step["content-type"], _data(steps, limit))
    raise mistake("the part of this name is missing", "body", FILE_PART, kind="missing")


async def _data(steps: AsyncIterator[Step], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for step in steps:
        if not isinstance(step, bytes):
            return
        size += len(step)
        if size > limit:
            raise TooLarge(f"The file is larger than {limit:,} bytes, which is the limit.")
        yield step
    raise Invalid("not a valid multipart body: it ends within the file")


async def _steps(request: Request) -> AsyncIterator[Step]:
    _, options = parse_options_header(request.headers.get("content-type"))
    if not options.get(b"boundary"):
        raise mistake("names no boundary", "header", "content-type")
    found: deque[Step] = deque()
    try:
        parser = MultipartParser(options[b"boundary"], _callbacks(found))
        async for chunk in request.stream():
            parser.write(chunk)
            while found:
                yield found.popleft()
    except FormParserError as error:
        raise Invalid(f"not a valid multipart body: {error}") from None


def _callbacks(found: deque[Step]) -> MultipartCallbacks:
    """What the parser calls, collecting steps in their order."""
    headers = Message()
    name, value = bytearray(), bytearray()

    def end_header() -> None:
        headers[name.decode("latin-1")] = value.decode("utf-8", "replace")
        name.clear()
        value.clear()

    def end_headers() -> None:
        nonlocal headers
        found.append(headers)
        headers = Message()

    return {
        "on_header_field": lambda data, start, end: name.extend(data[start:end]),
        "on_header_value": lambda data, start, end: value.extend(data[start:end]),
        "on_header_end": end_header,
        "on_headers_finished": end_headers,
        "on_part_data": lambda data, start, end: found.append(data[start:end]),
        "on_part_end": lambda: found.append(None),
    }
