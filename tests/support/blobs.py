"""Rowel's own files, kept in memory."""

from __future__ import annotations

from rowel.core.errors import NodeFailed


class Blobs:
    """Files by path."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})

    async def read(self, path: str) -> bytes:
        if path not in self.files:
            raise NodeFailed(f"there is no file {path!r}")
        return self.files[path]

    async def write(self, data: bytes, *, suffix: str) -> str:
        path = f"file-{len(self.files) + 1}{suffix}"
        self.files[path] = data
        return path
