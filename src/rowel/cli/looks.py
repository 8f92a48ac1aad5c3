"""How runs look in a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from rowel.client.models import Cause, Event, Progress, RerunPlan, Run, Task, Workflow
from rowel.client.words import EventKind, Status

ICONS: Mapping[Status, tuple[str, str]] = {
    Status.PENDING: ("·", "dim"),
    Status.RUNNING: ("▶", "cyan"),
    Status.COMPLETED: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.PAUSED: ("⏸", "yellow"),
    Status.CANCELED: ("⊘", "magenta"),
}
#: What a plan says of a node.
FATES: Mapping[str, tuple[str, str]] = {
    "run": ("▶ runs", "cyan"),
    "reuse": ("✓ is reused", "green"),
    "edit": ("✎ is edited", "yellow"),
    "cancel": ("⊘ stays canceled", "magenta"),
}
LONGEST = 300

#: Characters a line may have where the output is no terminal, so that tables keep their columns.
WIDE = 160

#: Tasks side by side in a tree. Of more, the first and last ones are shown, and those that are not COMPLETED.
MANY = 60
EDGE = 20

console = Console(highlight=False)
if not console.is_terminal:
    console.width = WIDE


def say(sentence: str) -> None:
    """Print text as it is, in one line however narrow the terminal: commands in it are there to be copied."""
    console.print(sentence, markup=False, soft_wrap=True)


def status(word: Status) -> str:
    """A status as icon and word."""
    icon, style = ICONS[word]
    return f"[{style}]{icon} {word}[/]"


def seconds(amount: float | None) -> str:
    """A duration for people."""
    if amount is None:
        return ""
    if amount < 60:
        return f"{amount:.1f} s"
    minutes, rest = divmod(int(amount), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def moment(when: datetime | None) -> str:
    return "" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def outputs(found: Mapping[str, Any]) -> Table:
    """Outputs by node."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("node", style="bold", no_wrap=True)
    table.add_column("outputs", overflow="fold")
    for node_id, values in found.items():
        table.add_row(escape(node_id), escape(short(values)))
    return table


def short(value: Any, longest: int = LONGEST) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def workflows(found: Iterable[Workflow]) -> Table:
    """Workflows as a list."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("workflow", no_wrap=True, min_width=36)
    table.add_column("name", overflow="fold")
    table.add_column("changed (UTC)", no_wrap=True)
    for workflow in found:
        table.add_row(workflow.id, escape(workflow.name), moment(workflow.updated_at))
    return table


def runs(found: Iterable[Run]) -> Table:
    """Runs as a list."""
    table = Table(show_edge=False, pad_edge=False)
    for name, width in (
        ("status", 11),
        ("run", 36),
        ("type", 5),
        ("started (UTC)", 8),
        ("took", 4),
        ("%", 3),
    ):
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("message", no_wrap=True, overflow="ellipsis")
    for run in found:
        table.add_row(
            status(run.status),
            run.id,
            run.run_type,
            moment(run.start_time),
            seconds(run.duration),
            f"{run.percentage_complete:.0f}",
            escape(run.message or ""),
        )
    return table


def plan(planned: RerunPlan) -> Table:
    """What a rerun would do with each node."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("node", style="bold", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("because", overflow="fold")
    table.add_column("outside", no_wrap=True)
    for node in planned.nodes:
        word, style = FATES.get(node.fate, (node.fate, ""))
        fate = Text(word, style)
        table.add_row(escape(node.node_id), fate, escape(node.why), "yes" if node.touches_outside else "")
    return table


def run_tree(run: Run) -> Tree:
    """A run with its tasks; what loops ran lies below them."""
    head = f"{status(run.status)} run [bold]{run.id}[/] of version {run.workflow_version}"
    tree = Tree(f"{head}  {seconds(run.duration)}  {run.percentage_complete:.0f} %")
    tree.add(
        f"started {moment(run.start_time)} UTC" + (f", ended {moment(run.end_time)}" if run.end_time else "")
    )
    if run.message:
        tree.add(escape(run.message))
    if run.output_file_id:
        tree.add(f"output file {run.output_file_id}")
    known = {task.id for task in run.tasks}
    below: dict[str | None, list[Task]] = {}
    for task in run.tasks:
        parent = task.parent_task_id if task.parent_task_id in known else None
        below.setdefault(parent, []).append(task)
    _grow(tree, None, below)
    return tree


def _grow(branch: Tree, parent: str | None, below: Mapping[str | None, Sequence[Task]]) -> None:
    tasks = below.get(parent, ())
    shown = [task for place, task in enumerate(tasks) if _is_shown(task, place, len(tasks))]
    for task in shown:
        _grow(branch.add(_task(task)), task.id, below)
    if len(shown) < len(tasks):
        branch.add(f"[dim]… and {len(tasks) - len(shown):,} more, all {Status.COMPLETED}[/]")


def _is_shown(task: Task, place: int, count: int) -> bool:
    at_edge = place < EDGE or place >= count - EDGE
    return count <= MANY or at_edge or task.status is not Status.COMPLETED


def _task(task: Task) -> str:
    took = _origin(task) or seconds(task.duration)
    line = f"{status(task.status)} [bold]{escape(_name(task))}[/]  {took}"
    if not task.error:
        return line
    return f"{line}\n[red]{escape(task.error.splitlines()[0])}[/]\n{trace(task.error)}".rstrip("\n")


def _origin(task: Task) -> str | None:
    """Where the outputs of a task come from that was not executed."""
    words = {"reused": task.reused, "given": task.given, "cached": task.cached}
    return next((f"[dim]{word}[/]" for word, is_so in words.items() if is_so), None)


def trace(error: str) -> str:
    """What an error says after its first line, the message."""
    return "".join(f"[dim]{escape(row)}[/]\n" for row in error.splitlines()[1:])


def _name(task: Task) -> str:
    """The node, and inside a loop its iteration, counted from 1."""
    place = task.id.split(".")[-2:-1]
    if task.parent_task_id and place and place[0].isdigit():
        return f"{task.node_id} [{int(place[0]) + 1}]"
    return task.node_id


def standing(run_id: str, found: Progress) -> Group:
    """How a batch stands: counts, rate, cost, and why rows failed."""
    word = status(found.status) if found.status else ""
    lines: list[Any] = [
        f"{word} batch [bold]{escape(run_id)}[/]  {found.finished:,} of {found.total:,} rows have ended"
    ]
    lines.append(_counts(found))
    if found.rows_per_s is not None:
        left = f", {seconds(found.eta_s)} left" if found.eta_s else ""
        lines.append(f"{found.rows_per_s:.1f} rows/s{left}")
    if found.tokens:
        price = "" if found.cost is None else f", ${found.cost:.4f}"
        lines.append(f"{found.tokens:,} tokens{price}")
    if found.mini_batch_size:
        lines.append(
            f"[dim]{found.mini_batch_size} in flight at most{_threshold(found.failure_threshold)}[/]"
        )
    if found.causes:
        lines += ["", causes(found.causes)]
    return Group(*lines)


def _counts(found: Progress) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    counts = {
        "completed": found.completed,
        "failed": found.failed,
        "canceled": found.canceled,
        "paused": found.paused,
        "running": found.running,
        "queued": found.queued,
    }
    for name in counts:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*(f"{count:,}" for count in counts.values()))
    return table


def _threshold(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    parts = [] if found.get("count") is None else [f"{found['count']} rows"]
    if found.get("percent") is not None:
        after = f" of {found['after']} or more" if found.get("after") else ""
        parts.append(f"{found['percent']:g} %{after}")
    return f", {' and '.join(parts)} may fail"


def causes(found: Iterable[Cause]) -> Table:
    """Why rows failed, the most frequent cause first."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("cause of failure", overflow="fold")
    table.add_column("for example row", justify="right", no_wrap=True)
    for cause in found:
        table.add_row(f"{cause.count:,}", escape(cause.signature), str(cause.example_row))
    return table


def event_line(event: Event) -> str:
    """An event as a line; nothing for what a log need not tell."""
    told = event.body
    if event.kind == EventKind.RUN:
        message = told.get("message")
        return f"{status(Status(told['status']))} run" + (f": {escape(message)}" if message else "")
    if event.kind == EventKind.TASK:
        failed = f": {escape(told['error'].splitlines()[0])}" if told.get("error") else ""
        return f"{status(Status(told['status']))} {escape(told['node_id'])}{failed}"
    if event.kind == EventKind.LOG:
        return f"  [dim]{escape(told['node_id'])}: {escape(str(told['message']))}[/]"
    return ""
