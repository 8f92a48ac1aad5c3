"""The fixed words of the API. All are `StrEnum`s: a member equals its word."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a run or a task stands. COMPLETED, FAILED and CANCELED are final; PAUSED waits for a person."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    PAUSED = "PAUSED"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether it never changes again."""
        return self in _FINAL

    @property
    def is_resting(self) -> bool:
        """Whether nothing changes until a person acts: final, or PAUSED."""
        return self in _FINAL or self is Status.PAUSED


_FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED})


class Action(StrEnum):
    """What a person may decide about a pause."""

    #: Go on with what the node received, updated with the person's inputs.
    APPROVE = "APPROVE"
    #: Cancel the node and all behind it, or take its `declined` route.
    DECLINE = "DECLINE"
    #: Go on with the person's inputs alone.
    OVERRIDE = "OVERRIDE"


class EventKind(StrEnum):
    """What an event is about."""

    RUN = "run"
    TASK = "task"
    PAUSE = "pause"
    LOG = "log"
    BATCH = "batch"
