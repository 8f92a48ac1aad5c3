"""What tasks received and put out, each value kept once: what lies elsewhere in the run already is referred to.

Most of what a node receives is what others put out, an input node receives what the run was given, and many nodes hand
on what they got. In place of JSON, which begins with a brace here, stands a word for where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rowel.core.outcomes import Fields
from rowel.core.records import Run, Task
from rowel.store import rows

#: The inputs are what the run was given for this node.
OF_RUN = "<"
#: The inputs are outputs of others. {title: path of the task} follows, or [path, ...] where all titles are the paths.
OF_TASKS = "@"
#: The outputs are the inputs.
SAME = "="

#: Rows of the table of tasks, as columns by name.
Row = Mapping[Any, Any]


def texts(task: Task, run: Run | None) -> dict[str, str | None]:
    """The columns that keep what this task of `run` received and put out; None where the run is not at hand."""
    is_same = task.outputs is not None and task.outputs is task.inputs
    return {
        "inputs": _inputs(task, run),
        "outputs": SAME if is_same else rows.to_text(task.outputs),
    }


def _inputs(task: Task, run: Run | None) -> str | None:
    if task.inputs and task.received_from is not None:
        places = task.received_from
        is_plain = all(title == path for title, path in places.items())
        return f"{OF_TASKS}{rows.to_text(list(places) if is_plain else dict(places))}"
    if task.inputs and run is not None and _is_given(task, run):
        return OF_RUN
    return rows.to_text(task.inputs)


def _is_given(task: Task, run: Run) -> bool:
    """Whether the run's own inputs hold this, and just this: 1 equals 1.0 and True, yet reads otherwise."""
    given = (run.initial_inputs or {}).get(task.node_id)
    if task.parent_path is not None or given is None or task.inputs is None:
        return False
    return given.keys() == task.inputs.keys() and all(
        task.inputs[name] is value for name, value in given.items()
    )


def runs_asked(found: Iterable[Row]) -> list[str]:
    """The runs whose own inputs these tasks refer to."""
    return list(dict.fromkeys(row["run_id"] for row in found if row["inputs"] == OF_RUN))


def tasks_of(found: Sequence[Row], given: Mapping[str, Fields]) -> list[Task]:
    """The tasks of one run, all of them; `given` holds the own inputs of runs by their ids."""
    reading = _Reading(found, given)
    return [rows.task_from_row(row, *reading.values(row["path"])) for row in found]


class _Reading:
    """Values by the task and the column that hold them. Those that refer to others wait for them on a stack: a chain
    may be as long as the graph."""

    def __init__(self, found: Sequence[Row], given: Mapping[str, Fields]) -> None:
        self._rows = {row["path"]: row for row in found}
        self._given = given
        self._known: dict[tuple[str, str], Any] = {}

    def values(self, path: str) -> tuple[Any, Any]:
        """The inputs and the outputs of this task."""
        return self._find((path, "inputs")), self._find((path, "outputs"))

    def _find(self, wanted: tuple[str, str]) -> Any:
        waiting = [wanted]
        while waiting:
            place = waiting[-1]
            missing = [other for other in self._others(place) if other not in self._known]
            if missing:
                waiting += missing
            else:
                self._known[place] = self._value(place)
                waiting.pop()
        return self._known[wanted]

    def _others(self, place: tuple[str, str]) -> list[tuple[str, str]]:
        """Where the values lie that make up this one."""
        if place in self._known or place[0] not in self._rows:
            return []
        path, column = place
        text = self._rows[path][column] or ""
        if text == SAME:
            return [(path, "inputs")]
        return [(source, "outputs") for source in _sources(text).values()]

    def _value(self, place: tuple[str, str]) -> Any:
        row = self._rows.get(place[0])
        text = None if row is None else row[place[1]]
        if row is None or text is None:
            return None
        if text == SAME:
            return self._known[place[0], "inputs"]
        if text == OF_RUN:
            return self._given.get(row["run_id"], {}).get(row["node_id"])
        if text.startswith(OF_TASKS):
            return {title: self._known[path, "outputs"] or {} for title, path in _sources(text).items()}
        return rows.from_text(text)


def _sources(text: str) -> Mapping[str, str]:
    """{title: path of the task}; none where the text is a value itself."""
    if not text.startswith(OF_TASKS):
        return {}
    found = rows.from_text(text[len(OF_TASKS) :])
    return found if isinstance(found, dict) else {path: path for path in found}
