"""Builds the frames of a run from what the store holds of it. Executes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rowel.core.iterations import has_reference, without
from rowel.core.outcomes import Fields
from rowel.core.planner import Planner, Settled, State
from rowel.core.records import Pause, Run, Task
from rowel.core.status import TaskStatus
from rowel.engine.frames import Frame
from rowel.engine.programs import Program
from rowel.engine.progress import Place, Progress, is_declined

#: The tasks of one level of a run, by node id.
Level = dict[str, Task]


def new_frame(run: Run, program: Program, born: Sequence[Task] = ()) -> Frame:
    """The frame of a run that has not begun; `born` are tasks that have ended before it begins."""
    return Restoration(run, program, born, ()).root()


def inputs_of(run: Run, program: Program) -> Fields:
    """What the run's input node receives."""
    return (run.initial_inputs or {}).get(program.input_id) or {}


class Restoration:
    """One run's tasks and open pauses, made into frames again."""

    def __init__(self, run: Run, program: Program, tasks: Sequence[Task], pauses: Sequence[Pause]) -> None:
        self._run = run
        self._program = program
        self._levels = _by_level(tasks)
        self._pauses = {pause.path: pause for pause in pauses}

    def root(self) -> Frame:
        """The run's own frame, planned from its tasks. Bodies are opened by `reopen`."""
        program = self._program
        level = self._levels.get("", {})
        frame = Frame(
            program=program,
            planner=Planner(program.graph, self._known(level), program.scope(self._run)),
            inputs=inputs_of(self._run, program),
        )
        _fill(frame, level)
        return frame

    def reopen(self, progress: Progress, frame: Frame) -> None:
        """Take up a restored frame: what waits goes on waiting, bodies are opened, the rest starts (again)."""
        for node_id in frame.tasks:
            if frame.planner.state(node_id) is State.PAUSED:
                progress.paused[frame.path(node_id)] = Place(frame, node_id)
        bodies = [node_id for node_id in frame.planner.opening.start if self._has_body(frame, node_id)]
        progress.open(frame, without=frozenset(bodies))
        for node_id in bodies:
            self._reopen_body(progress, frame, node_id)

    def _reopen_body(self, progress: Progress, frame: Frame, node_id: str) -> None:
        """A container's finished iterations are its results; the last one is a frame again."""
        iterations = self._iterations(frame, node_id)
        last = len(iterations) - 1
        results: list[Fields] = [
            {
                task.node_id: without(task.outputs or {}, task.path)
                for task in level.values()
                if _is_done(task)
            }
            for level in iterations
        ]
        frame.results[node_id] = results[:last]
        level = iterations[last]
        inputs = self._inputs_of_body(progress, Place(frame, node_id), level)
        inner = frame.inner(node_id, last, inputs, self._known(level))
        _fill(inner, level)
        self.reopen(progress, inner)
        progress.look_up_from(inner)

    def _inputs_of_body(self, progress: Progress, place: Place, level: Mapping[str, Task]) -> Fields:
        """What the body's input node was given; where it is not in the store (whole), the container says it again."""
        task = level.get(place.frame.program.inner[place.node_id].input_id)
        if task is None or has_reference(task.inputs or {}, task.path):
            return progress.inputs_of_body(place)
        return task.inputs or {}

    def _has_body(self, frame: Frame, node_id: str) -> bool:
        return f"{frame.path(node_id)}.0." in self._levels

    def _iterations(self, frame: Frame, node_id: str) -> list[Level]:
        found: list[Level] = []
        while (prefix := f"{frame.path(node_id)}.{len(found)}.") in self._levels:
            found.append(self._levels[prefix])
        return found

    def _known(self, level: Mapping[str, Task]) -> dict[str, Settled]:
        return {node_id: self._fact(task) for node_id, task in level.items()}

    def _fact(self, task: Task) -> Settled:
        match task.status:
            case TaskStatus.COMPLETED:
                return Settled(State.COMPLETED, task.routes)
            case TaskStatus.FAILED:
                return Settled(State.FAILED)
            case TaskStatus.CANCELED:
                return Settled(State.DECLINED if is_declined(task) else State.CANCELED)
            case TaskStatus.PAUSED if task.path in self._pauses:
                return Settled(State.PAUSED, holds_all=self._pauses[task.path].holds_all)
        return Settled(State.STARTED)


def _by_level(tasks: Sequence[Task]) -> dict[str, Level]:
    levels: dict[str, Level] = {}
    for task in tasks:
        prefix = task.path.removesuffix(task.node_id)
        levels.setdefault(prefix, {})[task.node_id] = task
    return levels


def _fill(frame: Frame, level: Mapping[str, Task]) -> None:
    for node_id, kept in level.items():
        frame.tasks[node_id] = task = frame.whole(kept)
        if _is_done(task):
            frame.outputs[node_id] = task.outputs or {}


def _is_done(task: Task) -> bool:
    return task.status is TaskStatus.COMPLETED


def latest_time(run: Run, tasks: Sequence[Task]) -> datetime:
    """The latest time that was noted of a run."""
    times = [time for task in tasks for time in (task.start_time, task.end_time) if time is not None]
    return max([run.start_time, *times])


def first_reasons(tasks: Sequence[Task]) -> tuple[str | None, str | None]:
    """The first failure and the first refusal among a run's top-level tasks, as its message tells them."""
    ended = [task for task in tasks if task.parent_path is None and task.end_time is not None]
    ended.sort(key=lambda task: (task.end_time, task.path))
    failed = (task for task in ended if task.status is TaskStatus.FAILED)
    failures = (f"Node {task.node_id!r} failed: {_first_line(task.error)}" for task in failed)
    return next(failures, None), next((task.error for task in ended if is_declined(task)), None)


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
