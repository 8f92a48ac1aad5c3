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

from rowel.core.errors import NodeFailed, NotFound, Unavailable
from rowel.files.names import base_name, extension, key_name
from rowel.files.store import FileStore
from rowel.files.threads import in_thread

#: Bytes of one upload.
MAX_UPLOAD = 8 * 1024**3
#: Bytes of one that a node reads, all at once, in memory: what model providers take, and some more.
MAX_READ = 100 * 1024**2

_DATA_URI = re.compile(
    r"data:([a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*)((?:;[a-z0-9-]+=[^;,\s]*)*);base64,([A-Za-z0-9+/]*={0,2})",
    re.IGNORECASE | re.ASCII,
)
#: Python's own table, without what the machine adds.
_TYPES = mimetypes.MimeTypes()
#: What Python's table leaves out, or answers differently from version to version. The first extension is the usual one.
_USUAL = {
    "application/gzip": (".gz",),
    "application/json": (".json",),
    "application/msword": (".doc",),
    "application/octet-stream": (".bin",),
    "application/vnd.apache.parquet": (".parquet",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": (".pptx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (".docx",),
    "application/x-ndjson": (".jsonl", ".ndjson"),
    "application/xml": (".xml",),
    "application/yaml": (".yaml", ".yml"),
    "audio/flac": (".flac",),
    "audio/mp4": (".m4a",),
    "audio/mpeg": (".mp3",),
    "audio/ogg": (".ogg", ".oga"),
    "audio/wav": (".wav",),
    "audio/webm": (".weba",),
    "image/avif": (".avif",),
    "image/heic": (".heic",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "text/markdown": (".md",),
    "text/plain": (".txt",),
    "video/mp4": (".mp4",),
    "video/webm": (".webm",),
}
_EXTENSIONS = {media_type: extensions[0] for media_type, extensions in _USUAL.items()} | {
    "audio/mp3": ".mp3",
    "audio/wave": ".wav",
    "audio/x-m4a": ".m4a",
    "audio/x-wav": ".wav",
    "image/jpg": ".jpg",
    "text/xml": ".xml",
    "text/yaml": ".yaml",
    "application/x-yaml": ".yaml",
}
_MEDIA_TYPES = _TYPES.types_map[True] | {
    extension: media_type for media_type, extensions in _USUAL.items() for extension in extensions
}


@dataclass(frozen=True)
class Upload:
    """A file of Rowel's: its opaque path, the name it was sent under, its size in bytes, its media type."""

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
    """The media type that a file name's extension says."""
    return _MEDIA_TYPES.get(extension(name), "application/octet-stream")


async def save_data_uri(store: FileStore, text: str) -> str | None:
    """Keep what a `data:<mime>;base64,<data>` URI holds and return its path; None for text that isn't one."""
    if text[:5].lower() != "data:":
        return None
    found = await in_thread(_read_data_uri, text)
    if found is None:
        return None
    media_type, data = found
    path = f"uploads/{uuid_utils.uuid7()}/data{_extension_of(media_type)}"
    await store.write(path, _once(data))
    return path


def _read_data_uri(text: str) -> tuple[str, bytes] | None:
    """The media type and the data of a well-formed URI; large ones take a while."""
    found = _DATA_URI.fullmatch(text)
    if found is None:
        return None
    try:
        return found[1].lower(), base64.b64decode(found[3], validate=True)
    except binascii.Error:
        return None


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
        """The file's bytes. Raises `NodeFailed` for what is no upload of Rowel's, and past `MAX_READ` bytes; a
        retryable one where the disk or the bucket doesn't give it."""
        try:
            upload = await find_upload(self._store, path)
            if upload.size > MAX_READ:
                raise NodeFailed(
                    f"The file {upload.name!r} has {upload.size:,} bytes; a node can read {MAX_READ:,}."
                )
            return await self._store.read(path)
        except NotFound as error:
            raise NodeFailed(error.message) from None
        except Unavailable as error:
            raise NodeFailed(error.message, retryable=True) from None

    async def write(self, data: bytes, *, suffix: str) -> str:
        """Keep `data` and return its path. Raises a retryable `NodeFailed` where it can't be kept."""
        path = f"uploads/{uuid_utils.uuid7()}/{key_name('data' + suffix)}"
        try:
            await self._store.write(path, _once(data))
        except Unavailable as error:
            raise NodeFailed(error.message, retryable=True) from None
        return path


def _extension_of(media_type: str) -> str:
    return _EXTENSIONS.get(media_type) or _TYPES.guess_extension(media_type) or ".bin"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
