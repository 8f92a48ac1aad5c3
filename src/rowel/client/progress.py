"""What events and runs say about progress and outputs."""

from __future__ import annotations

from rowel.client.errors import RunCanceled, RunFailed, RunPaused, StillRunning
from rowel.client.models import Event, Progress, Run
from rowel.client.operations import Outputs
from rowel.client.words import Status


def progress_of(event: Event) -> Progress:
    """A batch event as counts that add up to the total."""
    told = event.body
    total, started = int(told["total"]), int(told["started"])
    completed, failed, canceled, paused = (
        int(told[name]) for name in ("completed", "failed", "canceled", "paused")
    )
    ended = completed + failed + canceled
    return Progress(
        total=total,
        queued=max(0, total - started) if ended < total else 0,
        running=max(0, started - ended - paused),
        completed=completed,
        failed=failed,
        canceled=canceled,
        paused=paused,
    )


def may_rest(event: Event) -> bool:
    """Whether the run came to rest with this event; it may have moved on since."""
    return event.run_status is not None and event.run_status.is_resting


def outputs_of(run: Run) -> Outputs:
    """A run's outputs. Raises `RunFailed`, `RunCanceled`, `RunPaused` or `StillRunning` where it has none."""
    match run.status:
        case Status.COMPLETED:
            return run.outputs or {}
        case Status.FAILED:
            raise RunFailed(run)
        case Status.CANCELED:
            raise RunCanceled(run)
        case Status.PAUSED:
            raise RunPaused(run)
    raise StillRunning(run)
