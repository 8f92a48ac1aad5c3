"""One data directory, one engine."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from rowel.core.errors import Conflict

#: What a restore keeps in the directory until all of it is there.
RESTORING = ".restoring"


class DataDirectoryLock:
    """Held while an engine works on a data directory; the system lets go of it when the process ends, however."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "rowel.lock"
        self._descriptor: int | None = None

    def acquire(self, url: str | None) -> None:
        """Take the lock and write who holds it. Raises `Conflict` naming the holder's pid and URL, or a restore that
        was not finished."""
        self.hold(url)
        if (self._path.parent / RESTORING).exists():
            self.release()
            raise Conflict(
                f"A restore into {self._path.parent} was not finished; run it again.",
                "data_directory_not_whole",
            )

    def hold(self, url: str | None) -> None:
        """The same for whoever brings the directory about."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict(self._refusal(), "data_directory_in_use") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "url": url}).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _refusal(self) -> str:
        holder = self._holder()
        where = f" at {holder['url']}" if holder.get("url") else ""
        return (
            f"The data directory {self._path.parent} is in use by Rowel process {holder.get('pid', '?')}{where}. "
            "Stop it first, or choose another directory."
        )

    def _holder(self) -> dict[str, Any]:
        try:
            held: dict[str, Any] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return held
