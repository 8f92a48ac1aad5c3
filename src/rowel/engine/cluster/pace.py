"""How often the processes of a cluster look after each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds. A dead worker's runs are taken over after about `stalled` + `sweep`."""

    #: Between a worker's signs of life.
    heartbeat: float = 3.0
    #: Without a sign of life after which a worker counts as dead.
    stalled: float = 10.0
    #: Between looks for dead workers.
    sweep: float = 3.0
    #: Between looks for jobs whose notification was missed.
    fetch_poll: float = 0.25
    #: Between looks for runs with work that no job is about.
    reconcile: float = 10.0
    #: Between looks at what is waited for, where a notification was missed.
    fallback: float = 5.0
