"""The batch command and its progress bar."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rowel.cli.exits import Exit, code_of
from rowel.cli.looks import console, seconds, status
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, find_workflow, print_json
from rowel.client.blocking import LiveBatch
from rowel.client.models import Progress as Counts
from rowel.client.models import Run
from rowel.client.words import Status


def batch(
    workflow: Annotated[str, typer.Argument(help="The workflow's id or name.")],
    dataset: Annotated[str, typer.Argument(help="A CSV, JSONL or Parquet file, or a dataset's id.")],
    at_a_time: Annotated[
        int, typer.Option("--mini-batch-size", "-n", min=1, max=10_000, help="Rows in flight.")
    ] = 10,
    follow: Annotated[bool, typer.Option(help="Watch it until it rests.")] = True,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow once for each row of a dataset."""
    with connected(url, api_key) as client:
        found = find_workflow(client, workflow)
        live = client.batch(found.id, dataset, mini_batch_size=at_a_time)
        if follow and not live.run.status.is_resting:
            _watch_or_leave(live, quiet=as_json, url=url)
        seen = live.refresh()
    if as_json:
        print_json(seen)
    else:
        show_end(seen)
    raise typer.Exit(code_of(seen) if follow else Exit.DONE)


def _watch_or_leave(live: LiveBatch, *, quiet: bool, url: str) -> None:
    try:
        watch(live, quiet=quiet)
    except KeyboardInterrupt:
        console.print(
            f"\nThe batch goes on. Come back: rowel show {live.id} --follow --url {url}", markup=False
        )
        console.print(f"Or end it: rowel cancel {live.id} --url {url}", markup=False)
        raise typer.Exit(Exit.WAITING) from None


def watch(live: LiveBatch, *, quiet: bool = False) -> None:
    """Show a bar until the batch rests; a line now and then where there is no terminal."""
    if quiet:
        for _ in live.progress():
            pass
    elif console.is_terminal:
        _watch_bar(live)
    else:
        for counts in live.progress():
            console.print(f"{counts.finished}/{counts.total} rows: {counts_line(counts)}", markup=False)


def _watch_bar(live: LiveBatch) -> None:
    columns: tuple[Any, ...] = (
        TextColumn("[bold]rows[/]"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task("rows", total=None, counts="", rate="")
        for counts in live.progress():
            speed = bar.tasks[0].speed
            bar.update(
                task,
                total=counts.total,
                completed=counts.finished,
                counts=counts_line(counts),
                rate=f"{speed:.0f}/s" if speed else "",
            )


def counts_line(counts: Counts) -> str:
    """The counts that are not zero."""
    named = (
        ("completed", counts.completed),
        ("failed", counts.failed),
        ("canceled", counts.canceled),
        ("waiting for a person", counts.paused),
        ("running", counts.running),
        ("queued", counts.queued),
    )
    return ", ".join(f"{count} {name}" for name, count in named if count)


def show_end(seen: Run) -> None:
    """How the batch stands, and what to do next."""
    console.print(f"{status(seen.status)} batch [bold]{seen.id}[/]  {seconds(seen.duration)}")
    if seen.message:
        console.print(seen.message, markup=False)
    if seen.status is Status.PAUSED:
        console.print("Some rows wait for a person: rowel runs --status PAUSED", markup=False)
    if seen.status.is_final and seen.output_file_id:
        console.print(
            f"Output file {seen.output_file_id}: GET /of/{seen.output_file_id}/download/", markup=False
        )
