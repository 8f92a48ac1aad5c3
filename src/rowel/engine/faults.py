"""Does the harm that a test asked for (`ROWEL_FAULTS`)."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from itertools import count

from rowel.core.faults import Fault, Harm, Point

log = logging.getLogger(__name__)


class Faults:
    """Counts how often each point is reached, in whatever thread."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._counts = {point: count(1) for point in Point}
        log.warning("ROWEL_FAULTS is set: this process harms itself. That is for tests only.")

    def reach(self, point: Point) -> Harm | None:
        """Kill this process, hang, or return the error to be reported here, where a fault says so."""
        number = next(self._counts[point])
        for fault in self._faults:
            if fault.point is point and fault.first <= number <= fault.last:
                return _act(fault.harm)
        return None


def _act(harm: Harm) -> Harm:
    if harm is Harm.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if harm is Harm.HANG:
        threading.Event().wait()
    return harm
