"""The pause of a batch that has tried its first rows: a person decides about the others."""

from __future__ import annotations

from datetime import datetime

from rowel.core.records import Batch, Pause, PauseID
from rowel.engine.ids import new_id

#: What the pause calls its node, though there is none.
NODE_ID = "batch"


def question(batch: Batch, now: datetime) -> Pause:
    """Ask whether the other rows are to run."""
    tried = batch.begun
    counts = {
        "completed": batch.completed,
        "failed": batch.failed,
        "canceled": batch.canceled,
        "paused": batch.paused,
    }
    named = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return Pause(
        id=PauseID(new_id()),
        run_id=batch.run_id,
        path=NODE_ID,
        node_id=NODE_ID,
        message=(
            f"The first {tried} of {batch.total} rows have been tried: {named}. "
            f"Approve to run the other {batch.total - tried}; decline to cancel the batch."
        ),
        pause_time=now,
        input_data={"total": batch.total, "tried": tried, **counts},
    )
