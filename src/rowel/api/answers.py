"""How answers are written: stdlib JSON in ASCII, so that every value comes back as it was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from rowel.core.jsontext import dump

JSON = "application/json"


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer. Lone surrogates, NUL and integers of any size survive."""
    return Response(dump(content).encode(), status, headers, media_type=JSON)


def nothing() -> Response:
    """What a deletion answers."""
    return Response(status_code=204)


def download(
    name: str, parts: AsyncIterator[bytes], media_type: str, size: int | None = None
) -> StreamingResponse:
    """A file that browsers save and never show, under `name`."""
    headers = {"Content-Disposition": disposition(name), "Content-Security-Policy": "sandbox"}
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(parts, headers=headers, media_type=media_type)


def disposition(name: str) -> str:
    """`attachment` with the name as any client reads it (RFC 6266): plain where it can be, else in UTF-8 as well."""
    plain = "".join(character if _is_plain(character) else "_" for character in name)
    if plain == name:
        return f'attachment; filename="{plain}"'
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _is_plain(character: str) -> bool:
    return " " <= character <= "~" and character not in '"\\%'
