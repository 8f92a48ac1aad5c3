"""How a process looks after its runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """Times are seconds."""

    #: How often a run is taken over before it is held responsible for the ends of its servers. Resting and every
    #: COMPLETED task start anew; a run that others work for is not held responsible before they are.
    recoveries: int = 20
    #: Between looks for runs that have work and that nobody moves.
    runs_each: float = 10.0
    #: Between looks for pauses that run out.
    pauses_each: float = 1.0
    #: What running tasks get to end when the process is asked to.
    grace: float = 25.0

    @property
    def suspicious(self) -> int:
        """From how many takeovers on runs are taken up one at a time, so that the others don't share the blame of the
        one that ends the server."""
        return max(1, self.recoveries // 2)
