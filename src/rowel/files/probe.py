"""Finds out whether a place for files does all that Rowel asks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import uuid_utils

from rowel.core.errors import NotFound, RowelError, Unavailable
from rowel.files.store import FileStore
from rowel.files.threads import in_thread

_CONTENT = b"This file may be deleted: rowel doctor looked whether it could be kept.\n"


async def probe(store: FileStore) -> str | None:
    """Keep, read, list and delete a small file. Return what doesn't work as a sentence, or None."""
    key = f"probes/{uuid_utils.uuid7()}.txt"
    try:
        await store.write(key, _once(_CONTENT))
        if await store.read(key) != _CONTENT:
            return "What was kept does not come back."
        if key not in [found.key for found in await in_thread(list, store.list("probes"))]:
            return "A file that was kept is not listed."
        await store.delete(key)
        return await _look_for_nothing(store, key)
    except RowelError as error:
        return error.message


async def _look_for_nothing(store: FileStore, key: str) -> str | None:
    try:
        await store.size(key)
    except NotFound:
        return None
    except Unavailable:
        return "It is not told which files are missing: give Rowel's credentials the right to list (s3:ListBucket)."
    return "A file that was deleted is still there."


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
