"""`python -m tests.support.shifted serve`: Rowel on a machine whose clock is set by a file.

The file named by CLOCK_FILE says by how many seconds the clock is ahead; it may change at any time.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from rowel.cli.main import app
from rowel.engine import clock


class ShiftedClock(clock.SystemClock):
    """The machine's clock, as far ahead as the file says."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(Path(os.environ["CLOCK_FILE"]).read_text()))


if __name__ == "__main__":
    clock.LOOK_EACH_S = 0.2
    clock.SystemClock = ShiftedClock  # type: ignore[misc]  # before the engine is built
    app()
