"""The fixed words of runs, tasks, pauses and events, exactly as clients read them.

All of them are `StrEnum`s: a member is its word, in JSON, in SQL and in an f-string.
"""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands. COMPLETED, FAILED and CANCELED are final; PAUSED waits for a person."""

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


class TaskStatus(StrEnum):
    """Where one node of a run stands. COMPLETED, FAILED and CANCELED are final."""

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


class PauseAction(StrEnum):
    """What a person may decide about a pause."""

    #: Go on with what the node received, updated with the person's inputs.
    APPROVE = "APPROVE"
    #: Cancel the node and all behind it, or take its `declined` route.
    DECLINE = "DECLINE"
    #: Go on with the person's inputs alone.
    OVERRIDE = "OVERRIDE"


class RunType(StrEnum):
    """How a run was started."""

    INTERACTIVE = "interactive"
    #: A batch's parent, and each of its row runs.
    BATCH = "batch"
    PARTIAL = "partial"
    RERUN = "rerun"


class EventKind(StrEnum):
    """What an event is about."""

    RUN = "run"
    TASK = "task"
    PAUSE = "pause"
    LOG = "log"
    BATCH = "batch"


#: Words of both statuses: a StrEnum member equals and hashes like its word.
_FINAL = frozenset({"COMPLETED", "FAILED", "CANCELED"})
