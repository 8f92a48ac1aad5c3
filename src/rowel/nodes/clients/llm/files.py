"""Files that go to a model with a message: data URIs, addresses on the web, Rowel's own files."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from rowel.core.errors import NodeFailed
from rowel.nodes.context import HTTP, Blobs, Message

_UNKNOWN = "application/octet-stream"
#: Types that the standard library's table leaves to the system, which may not know them.
_BY_SUFFIX = {
    ".md": "text/markdown",
    ".webp": "image/webp",
    ".jsonl": "application/x-ndjson",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_BY_FIRST_BYTES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


@dataclass(frozen=True)
class Attachment:
    """One file: its bytes, or, for a picture the provider fetches itself, its address."""

    media_type: str
    data: bytes = b""
    url: str | None = None


@dataclass(frozen=True)
class Turn:
    """One chat message with its files read."""

    message: Message
    attachments: Sequence[Attachment] = ()


async def read_attachment(reference: str, *, blobs: Blobs, http: HTTP, images_by_url: bool) -> Attachment:
    """Return the file that `reference` names: a data URI, an http(s) address, or else a path of Rowel's own.

    With `images_by_url` a picture on the web stays an address. Raises `NodeFailed` where the file can't be read.
    """
    scheme = reference[:8].lower()
    if scheme.startswith("data:"):
        return _read_data_uri(reference)
    if scheme.startswith(("http://", "https://")):
        return await _fetch(reference, http, images_by_url)
    data = await blobs.read(reference)
    return Attachment(_guess(reference, data), data)


def _read_data_uri(uri: str) -> Attachment:
    head, comma, payload = uri.partition(",")
    media_type, *options = head[len("data:") :].split(";")
    if not comma:
        raise NodeFailed("a file is not a valid data URI: it has no comma")
    try:
        is_base64 = "base64" in (option.strip().lower() for option in options)
        data = base64.b64decode(payload, validate=True) if is_base64 else unquote_to_bytes(payload)
    except (binascii.Error, ValueError):
        raise NodeFailed("a file is not a valid data URI: its base64 is broken") from None
    return Attachment(media_type.strip().lower() or "text/plain", data)


async def _fetch(url: str, http: HTTP, images_by_url: bool) -> Attachment:
    path = urlsplit(url).path
    if images_by_url and _guess(path).startswith("image/"):
        return Attachment(_guess(path), url=url)
    answer = await http.request("GET", url)
    if answer.status >= 400:
        raise NodeFailed(
            f"the file at {urlsplit(url).hostname} can't be read: HTTP {answer.status}",
            retryable=answer.status == 429 or answer.status >= 500,
        )
    declared = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Attachment(declared if declared not in ("", _UNKNOWN) else _guess(path, answer.body), answer.body)


def _guess(path: str, data: bytes = b"") -> str:
    """Return the media type by the name's ending, else by the first bytes, else text where it is text."""
    suffix = f".{path.rpartition('.')[2].lower()}" if "." in path else ""
    by_suffix = _BY_SUFFIX.get(suffix) or mimetypes.guess_type(f"file{suffix}", strict=False)[0]
    if by_suffix:
        return by_suffix
    by_bytes = next((media_type for start, media_type in _BY_FIRST_BYTES if data.startswith(start)), None)
    return by_bytes or ("text/plain" if data and _is_text(data) else _UNKNOWN)


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False
