"""One graph being run: a run's own, or one iteration of a container's body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rowel.core.inputs import received, sources
from rowel.core.iterations import Iterations, whole
from rowel.core.outcomes import Fields
from rowel.core.planner import Planner, Settled
from rowel.core.records import Task
from rowel.engine.programs import Program


@dataclass(eq=False)
class Frame:
    """A program, its plan, and what its nodes gave so far."""

    program: Program
    planner: Planner
    #: What the input node receives.
    inputs: Fields
    #: Leads the path of every task in here: "" or "{container}.{iteration}.".
    prefix: str = ""
    #: The container whose body this is.
    parent: Frame | None = None
    container: str = ""
    outputs: dict[str, Fields] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    #: For each container in here: the outputs of its finished iterations.
    results: dict[str, list[Fields]] = field(default_factory=dict)

    def path(self, node_id: str) -> str:
        return self.prefix + node_id

    def whole(self, task: Task) -> Task:
        """A task in here as it was before it was kept."""
        if self.parent is None:
            return task
        inputs, outputs = (
            fields and whole(fields, task.path, self._history) for fields in (task.inputs, task.outputs)
        )
        return task.evolve(inputs=inputs, outputs=outputs)

    def _history(self, place: str) -> Iterations | None:
        """What the iterations before the one at this place gave."""
        given = (value for value in self.inputs.values() if isinstance(value, Iterations))
        found = next((history for history in given if history.place == place), None)
        return found if found is not None or self.parent is None else self.parent._history(place)

    @property
    def parent_path(self) -> str | None:
        """The path of the task whose body this is."""
        return None if self.parent is None else self.parent.path(self.container)

    def received_by(self, node_id: str) -> dict[str, Any]:
        """What this node receives now."""
        if node_id == self.program.graph.input_id:
            return dict(self.inputs)
        return received(self.program.graph, node_id, self.outputs)

    def sources_of(self, node_id: str) -> dict[str, str] | None:
        """Of the tasks in here, those whose outputs this node receives now, {title: path}; None for other inputs."""
        if node_id == self.program.graph.input_id:
            return None
        found = sources(self.program.graph, node_id, self.outputs)
        return found and {title: self.path(source) for title, source in found.items()}

    def inner(
        self,
        container: str,
        iteration: int,
        inputs: Fields,
        known: Mapping[str, Settled] | None = None,
    ) -> Frame:
        """A frame for one iteration of a container's body."""
        program, prefix = self.program.inner[container], f"{self.path(container)}.{iteration}."
        for value in inputs.values():
            if isinstance(value, Iterations) and not value.place:
                value.place = prefix.removesuffix(".")
        return Frame(
            program=program,
            planner=Planner(program.graph, known),
            inputs=inputs,
            prefix=prefix,
            parent=self,
            container=container,
        )
