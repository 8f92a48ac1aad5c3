"""What the engine's commands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rowel.core.records import RunID
from rowel.engine.clock import Clock
from rowel.engine.dispatch import LocalDispatch
from rowel.engine.marks import Marks
from rowel.engine.observer import Observer
from rowel.engine.places import Places
from rowel.engine.programs import Programs
from rowel.engine.stepcache import StepCache
from rowel.engine.upkeep import Upkeep
from rowel.engine.wakeups import Wakeups
from rowel.engine.workflows import Workflows
from rowel.files.store import FileStore
from rowel.nodes.context import Services
from rowel.store.database import Database
from rowel.store.journal import Fact, Journal, numbered


@dataclass(frozen=True)
class House:
    """The parts that commands work with, built once by `compose`."""

    database: Database
    journal: Journal
    programs: Programs
    workflows: Workflows
    services: Services
    files: FileStore
    clock: Clock
    wakeups: Wakeups
    dispatch: LocalDispatch
    upkeep: Upkeep
    cache: StepCache
    places: Places
    marks: Marks = field(default_factory=Marks)
    observer: Observer | None = None

    def now(self) -> datetime:
        return self.clock.now()

    def publish(self, run_id: RunID, seq: int, facts: Sequence[Fact]) -> None:
        """Tell listeners what was just committed."""
        if self.observer is not None:
            self.observer.told(run_id, facts)
        self.wakeups.publish(run_id, numbered(seq, facts))
