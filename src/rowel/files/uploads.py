"""Files that people hand over: uploads, and data URIs inside inputs."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import uuid_utils

from rowel.core.errors import NodeFailed, NotFound
from rowel.files.names import base_name, key_name
from rowel.files.store import FileStore

#: Bytes of one upload.
MAX_UPLOAD = 8 * 1024**3

_DATA_URI = re.compile(
    r"data:([a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*)((?:;[a-z0-9-]+=[^;,\s]*)*);base64,([A-Za-z0-9+/]*={0,2})",
    re.IGNORECASE,
)
_TYPES = mimetypes.MimeTypes()
#: What the standard table leaves out or would answer oddly.
_EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/json": ".json",
    "application/xml": ".xml",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "application/octet-stream": ".bin",
}


@dataclass(frozen=True)
class Upload:
    """A file of Rowel's: its opaque path, the name it was sent under, its size in bytes."""

    path: str
    name: str
    size: int
    media_type: str


async def save_upload(
    store: FileStore,
    filename: str,
    media_type: str | None,
    stream: AsyncIterator[bytes],
    limit: int = MAX_UPLOAD,
) -> Upload:
    """Keep a file. Raises `TooLarge` past `limit` bytes; then nothing is kept."""
    name = base_name(filename)
    path = f"uploads/{uuid_utils.uuid7()}/{key_name(filename)}"
    size = await store.write(path, stream, limit=limit)
    return Upload(path, name, size, media_type or media_type_of(name))


async def find_upload(store: FileStore, path: str) -> Upload:
    """What is known of an upload. Raises `NotFound` for everything else, other files of Rowel's included."""
    if not path.startswith("uploads/"):
        raise NotFound(f"There is no file {path[:256]!r}.")
    name = path.rsplit("/", 1)[-1]
    return Upload(path, name, await store.size(path), media_type_of(name))


def media_type_of(name: str) -> str:
    return _TYPES.guess_type(name)[0] or "application/octet-stream"


async def save_data_uri(store: FileStore, text: str) -> str | None:
    """Keep what a `data:<mime>;base64,<data>` URI holds and return its path; None for text that isn't one."""
    if not text.startswith("data:"):
        return None
    found = _DATA_URI.fullmatch(text)
    if found is None:
        return None
    try:
        data = base64.b64decode(found[3], validate=True)
    except (binascii.Error, ValueError):
        return None
    path = f"uploads/{uuid_utils.uuid7()}/data{_extension_of(found[1].lower())}"
    await store.write(path, _once(data))
    return path


async def replace_data_uris(value: Any, store: FileStore) -> Any:
    """The value with each data URI in it kept as a file and replaced by its path."""
    if isinstance(value, str):
        return await save_data_uri(store, value) or value
    if isinstance(value, dict):
        return {key: await replace_data_uris(item, store) for key, item in value.items()}
    if isinstance(value, list):
        return [await replace_data_uris(item, store) for item in value]
    return value


class StoredBlobs:
    """What nodes may read and write of Rowel's files: uploads only."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    async def read(self, path: str) -> bytes:
        """The file's bytes. Raises `NodeFailed` for what is no upload of Rowel's."""
        try:
            await find_upload(self._store, path)
            return await self._store.read(path)
        except NotFound as error:
            raise NodeFailed(error.message) from None

    async def write(self, data: bytes, *, suffix: str) -> str:
        """Keep `data` and return its path."""
        path = f"uploads/{uuid_utils.uuid7()}/{key_name('data' + suffix)}"
        await self._store.write(path, _once(data))
        return path


def _extension_of(media_type: str) -> str:
    return _EXTENSIONS.get(media_type) or _TYPES.guess_extension(media_type) or ".bin"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
