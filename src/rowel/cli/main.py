"""The `rowel` command. What each exit code means is written in `rowel.cli.exits`."""

from __future__ import annotations

from typing import Annotated

import typer

from rowel.cli import (
    backups,
    batchcontrol,
    batches,
    doctor,
    outputs,
    reruns,
    retention,
    runs,
    serve,
    workflows,
)
from rowel.cli.drill.command import drill

EPILOG = (
    "Exit codes: 0 done; 1 the run failed or was canceled; 2 the command line is wrong; 3 no server answers or it "
    "can't take work; 4 the server refused; 5 the run waits for a person or still runs."
)

app = typer.Typer(
    name="rowel",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("import")(workflows.import_files)
app.command("workflows")(workflows.list_workflows)
app.command("run")(runs.run)
app.command("rerun")(reruns.rerun)
app.command("batch")(batches.batch)
app.command("batch-status")(batchcontrol.batch_status)
app.command("batch-change")(batchcontrol.batch_change)
app.command("redrive")(batchcontrol.redrive)
app.command("runs")(runs.list_runs)
app.command("show")(runs.show)
app.command("download")(outputs.download)
app.command("approve")(runs.approve)
app.command("decline")(runs.decline)
app.command("override")(runs.override)
app.command("cancel")(runs.cancel)
app.command("prune")(retention.prune)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("doctor")(doctor.doctor)
app.command("drill")(drill)


def _print_version(wanted: bool) -> None:
    from importlib.metadata import version

    if wanted:
        typer.echo(f"rowel {version('rowel')}")
        raise typer.Exit


@app.callback()
def rowel(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which Rowel this is."),
    ] = False,
) -> None:
    """Runs AI workflows durably."""


def main() -> None:
    """Run the command that the arguments name."""
    app()
