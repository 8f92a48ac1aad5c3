"""What a landed group tells other processes: which runs changed, and what is to be executed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: The channel of LISTEN and NOTIFY.
CHANNEL = "rowel"
#: Postgres takes payloads below 8,000 bytes.
LONGEST_PAYLOAD = 7000
#: In the place of ids: too many to name, look at everything.
EVERYTHING = "*"


@dataclass(frozen=True)
class Job:
    """Work for a worker: a run, or one lane of a batch. At most one job of a name waits, and at most one is done."""

    queue: str
    run_id: str
    lane: int | None = None

    @property
    def name(self) -> str:
        return self.run_id if self.lane is None else f"{self.run_id}:{self.lane}"


@dataclass(frozen=True)
class News:
    """Runs that changed; who listens reads them again."""

    sender: str
    ids: Sequence[str]

    @property
    def is_everything(self) -> bool:
        return EVERYTHING in self.ids


def write_news(sender: str, ids: Iterable[str]) -> str:
    """The payload of a notification."""
    text = " ".join([sender, *dict.fromkeys(ids)])
    return text if len(text) <= LONGEST_PAYLOAD else f"{sender} {EVERYTHING}"


def read_news(payload: str) -> News:
    sender, *ids = payload.split(" ")
    return News(sender, ids)
