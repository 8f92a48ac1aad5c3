"""How runs look in a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from rowel.client.models import Run, Task
from rowel.client.words import Status

ICONS: Mapping[Status, tuple[str, str]] = {
    Status.PENDING: ("·", "dim"),
    Status.RUNNING: ("▶", "cyan"),
    Status.COMPLETED: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.PAUSED: ("⏸", "yellow"),
    Status.CANCELED: ("⊘", "magenta"),
}
LONGEST = 300

#: Characters a line may have where the output is no terminal, so that tables keep their columns.
WIDE = 160

console = Console(highlight=False)
if not console.is_terminal:
    console.width = WIDE


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


def run_tree(run: Run) -> Tree:
    """A run with its tasks; what loops ran lies below them."""
    head = f"{status(run.status)} run [bold]{run.id}[/] of version {run.workflow_version}"
    tree = Tree(f"{head}  {seconds(run.duration)}  {run.percentage_complete:.0f} %")
    if run.message:
        tree.add(escape(run.message))
    if run.output_file_id:
        tree.add(f"output file {run.output_file_id}")
    branches: dict[str | None, Tree] = {None: tree}
    for task in sorted(run.tasks, key=lambda task: task.id.count(".")):
        parent = branches.get(task.parent_task_id, tree)
        branches[task.id] = parent.add(_task(task))
    return tree


def _task(task: Task) -> str:
    line = f"{status(task.status)} [bold]{escape(_name(task))}[/]  {seconds(task.duration)}"
    if task.error:
        first, *trace = task.error.splitlines()
        line += f"\n[red]{escape(first)}[/]" + "".join(f"\n[dim]{escape(row)}[/]" for row in trace)
    return line


def _name(task: Task) -> str:
    """The node, and inside a loop its iteration."""
    parts = task.id.split(".")
    return f"{task.node_id} [{int(parts[-2]) + 1}]" if task.parent_task_id else task.node_id
