"""Several who look in."""

from __future__ import annotations

from collections.abc import Sequence

from rowel.core.records import Run, Task
from rowel.engine.observer import Observer, Told
from rowel.engine.programs import Program
from rowel.nodes.context import Services


class Observers:
    """Implements `Observer` by telling each of several."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def landed(self, run: Run, tasks: Sequence[Task], told: Told, program: Program) -> None:
        for observer in self._observers:
            observer.landed(run, tasks, told, program)

    def told(self, run_id: str, told: Told) -> None:
        for observer in self._observers:
            observer.told(run_id, told)

    def taken_up(self, run_id: str) -> None:
        for observer in self._observers:
            observer.taken_up(run_id)

    def committed(self, seconds: float, groups: int) -> None:
        for observer in self._observers:
            observer.committed(seconds, groups)

    def watch(self, services: Services) -> Services:
        for observer in self._observers:
            services = observer.watch(services)
        return services
