"""Files that fail on the way to their place where a test wants them to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from rowel.core.faults import Harm, Point, Reach
from rowel.files.disk import NewFile

_ERRORS = {Harm.IO: errno.EIO, Harm.FULL: errno.ENOSPC, Harm.LOCKED: errno.EAGAIN}


class FaultyFile(NewFile):
    """A new file with a point at each of its steps."""

    def __init__(self, path: Path, reach: Reach) -> None:
        super().__init__(path)
        self._reach = reach

    def open(self) -> None:
        self._pass(Point.FILE_OPEN)
        super().open()

    def write(self, data: bytes) -> None:
        self._pass(Point.FILE_WRITE)
        super().write(data)

    def publish(self) -> None:
        self._pass(Point.FILE_PUBLISH_BEFORE)
        super().publish()
        self._pass(Point.FILE_PUBLISH_AFTER)

    def _pass(self, point: Point) -> None:
        harm = self._reach(point)
        if harm is not None:
            code = _ERRORS[harm]
            raise OSError(code, os.strerror(code))
