"""What may be found broken: each harm with the promise that it breaks and the words that a table has for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Harm(Enum):
    """A promise (as docs/promises.md numbers them), and what is counted."""

    LOST_RUN = ("D1", "lost runs")
    UNFINISHED_RUN = ("D1", "runs that never ended")
    WRONG_END = ("D1", "runs that ended wrongly")
    CALL_AFTER_COMPLETED = ("D2", "side effects after COMPLETED")
    REPEATED_CALL = ("D3", "repeated side effects")
    MISSING_CALL = ("D3", "side effects that are missing")
    REPEATED_RUN = ("D3", "starts that became two runs")
    LOST_PAUSE = ("D4", "lost pauses")
    LOST_DECISION = ("D5", "lost decisions")
    UNDONE_CANCEL = ("D6", "undone cancels")
    LOST_ROW = ("D7", "lost rows")
    REPEATED_ROW = ("D7", "repeated rows")
    ROW_OUT_OF_ORDER = ("D7", "rows out of order")
    WRONG_ROW = ("D7", "rows that say something else")
    WRONG_COUNT = ("D7", "wrong counts")
    BREAKDOWN = ("D8", "answers of a broken server")
    GHOST_RUN = ("D8", "refused starts that ran")
    SLOW_DRAIN = ("D9", "slow or failed shutdowns")
    OTHER_VERSION = ("D12", "runs on another version")
    CHANGED_END = ("D13", "ends that changed")
    WENT_BACK = ("D13", "percentages that went back")
    WRONG_WINNER = ("C1", "decisions with a wrong winner")
    START_AFTER_CANCEL = ("C3", "side effects after a cancel")

    def __init__(self, promise: str, label: str) -> None:
        self.promise = promise
        self.label = label


@dataclass(frozen=True)
class Violation:
    """A harm that was done; the sentence names the run and the node."""

    harm: Harm
    sentence: str
    seed: int

    def __str__(self) -> str:
        return f"{self.harm.promise} is broken: {self.sentence} (seed {self.seed})"


@dataclass(frozen=True)
class Finding:
    """A harm before anybody knows the seed."""

    harm: Harm
    sentence: str
