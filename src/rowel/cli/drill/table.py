"""How a drill looks in a terminal."""

from __future__ import annotations

from rich.table import Table

from rowel.cli.drill.campaign import Result
from rowel.cli.drill.drill import Stage
from rowel.cli.drill.figures import Figures, spread
from rowel.cli.drill.harms import Harm
from rowel.cli.drill.history import Blow
from rowel.cli.looks import console, say

#: Sentences that are told; of more their number.
_TOLD = 20


def line_of(stage: Stage) -> str:
    """How far a drill has come."""
    doing = "waiting for the last runs to end" if stage.is_settling else f"kill {stage.kills} of {stage.of}"
    return f"{doing}, {stage.known} starts acknowledged, {stage.calls} calls made"


def show(result: Result) -> None:
    """What was done, the counts of everything that may not be, and what that means."""
    console.print()
    console.print(_done(result.figures, result.took_s))
    console.print()
    console.print(_harms(result.figures))
    console.print()
    for violation in result.violations[:_TOLD]:
        say(str(violation))
    if result.violations:
        console.print(f"[red]✗[/] Promises were broken {result.figures.harms.total()} times.")
        say(f"The data and what the processes said: {', '.join(map(str, result.kept))}")
    else:
        console.print("[green]✓[/] Nothing was lost, and nothing that was done was done again.")


def _done(figures: Figures, took_s: float) -> Table:
    table = Table.grid(padding=(0, 2))
    peaceful = figures.blows[Blow.TERMINATE]
    restarts = figures.blows[Blow.RESTART_STORE]
    struck = f"{figures.kills} (kill -9)"
    struck += f", and {peaceful} shutdowns (SIGTERM)" if peaceful else ""
    struck += f", and {restarts} restarts of the database" if restarts else ""
    for name, told in (
        ("kills", struck),
        ("runs", f"{figures.runs:,}, of them {figures.rows:,} rows of batches; {figures.ended:,} have ended"),
        ("decisions, cancels", f"{figures.decisions} and {figures.cancels} accepted"),
        (
            "side effects",
            f"{figures.tries.total():,} tasks; {figures.interrupted} were interrupted and ran again",
        ),
        ("serves again after", spread(figures.ready_s)),
        ("these ran again after", spread(figures.retried_s)),
        ("took", f"{took_s:.0f} s"),
    ):
        table.add_row(f"[dim]{name}[/]", told)
    return table


def _harms(figures: Figures) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("what may not happen", no_wrap=True)
    table.add_column("seen", justify="right")
    table.add_column("promise", style="dim")
    for harm in Harm:
        count = figures.harms[harm]
        table.add_row(harm.label, f"[bold red]{count}[/]" if count else "[green]0[/]", harm.promise)
    return table
