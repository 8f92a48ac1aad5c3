"""The `rowel` command."""

from __future__ import annotations

import typer

from rowel.cli import batches, doctor, runs, serve, workflows

EPILOG = (
    "Exit codes: 0 done; 1 the run failed or was canceled; 2 the command line is wrong; 3 no server answers or it "
    "can't take work; 4 the server refused; 5 the run waits for a person or still runs."
)

app = typer.Typer(
    name="rowel",
    help="Runs AI workflows durably.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("serve")(serve.serve)
app.command("import")(workflows.import_files)
app.command("run")(runs.run)
app.command("batch")(batches.batch)
app.command("runs")(runs.list_runs)
app.command("show")(runs.show)
app.command("approve")(runs.approve)
app.command("decline")(runs.decline)
app.command("override")(runs.override)
app.command("cancel")(runs.cancel)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command that the arguments name."""
    app()
