"""What a process counts about its work. Labels are words of ours, node types and models: no ids, no text of clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rowel.core.outcomes import Usage
from rowel.core.records import Run, Task
from rowel.core.status import EventKind, TaskStatus
from rowel.engine.observer import Told
from rowel.engine.programs import Program
from rowel.nodes.context import Services
from rowel.observe.models import WatchedModels
from rowel.observe.tallies import OTHER, Known, Spread, Tally

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
GROUPS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Metrics:
    """Implements `Observer` and the API's `Watcher` by adding numbers up."""

    def __init__(self) -> None:
        self.runs = Tally()
        self.pauses = Tally()
        self.recoveries = Tally()
        self.tasks = Spread(SECONDS)
        self.retries = Tally()
        self.commits = Spread(SECONDS)
        self.groups = Spread(GROUPS)
        self.model_calls = Tally()
        self.model_seconds = Spread(SECONDS)
        self.tokens = Tally()
        self.dollars = Tally()
        self.requests = Tally()
        self.request_seconds = Spread(SECONDS)
        self._model = Known()

    def landed(self, run: Run, tasks: Sequence[Task], told: Told, program: Program) -> None:
        for task in tasks:
            if task.start_time is None:
                continue
            if task.status.is_final and task.end_time is not None:
                seconds = (task.end_time - task.start_time).total_seconds()
                self.tasks.add(seconds, (node_type(program, task), task.status.value))
            elif task.status is TaskStatus.PENDING:
                self.retries.add((node_type(program, task),))
        self.told(run.id, told)

    def told(self, run_id: str, told: Told) -> None:
        for kind, body in told:
            if kind is EventKind.RUN:
                self.runs.add((body["status"],))
            elif kind is EventKind.PAUSE:
                self.pauses.add(("opened" if body["is_open"] else "answered",))

    def taken_up(self, run_id: str) -> None:
        self.recoveries.add()

    def committed(self, seconds: float, groups: int) -> None:
        self.commits.add(seconds)
        self.groups.add(groups)

    def watch(self, services: Services) -> Services:
        return replace(services, llm=WatchedModels(services.llm, self.model_called))

    def model_called(self, model: str, seconds: float, usage: Usage | None) -> None:
        """A call of a model has ended; without `usage` it failed."""
        name = self._model(model)
        self.model_calls.add((name, "failed" if usage is None else "ok"))
        self.model_seconds.add(seconds, (name,))
        if usage is not None:
            self.tokens.add((name, "input"), usage.input_tokens)
            self.tokens.add((name, "output"), usage.output_tokens)
            self.dollars.add((name,), usage.cost_usd or 0)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """The API has begun to answer a request."""
        method = method if method in METHODS else OTHER
        self.requests.add((method, route, str(status)))
        self.request_seconds.add(seconds, (method, route))


def node_type(program: Program, task: Task) -> str:
    """The type of a task's node."""
    found, node_id = program.at(task.path)
    return found.nodes[node_id].spec.node_type
