"""The batch command and its progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rowel.cli.exits import Exit, code_of, fail
from rowel.cli.following import command, left_running
from rowel.cli.looks import console, say, seconds, status
from rowel.cli.server import (
    DEFAULT_URL,
    ApiKey,
    AsJson,
    Fresh,
    IdempotencyKey,
    Url,
    connected,
    find_workflow,
    print_json,
)
from rowel.cli.wishes import FailAfter, JudgeAfter, read_columns, read_threshold
from rowel.client.models import Progress as Counts
from rowel.client.models import Run
from rowel.client.words import Status

if TYPE_CHECKING:
    from rowel.client import Client
    from rowel.client.blocking import LiveBatch


def batch(
    workflow: Annotated[str, typer.Argument(help="The workflow's id or name.")],
    dataset: Annotated[str, typer.Argument(help="A CSV, JSONL or Parquet file, or a dataset's id.")],
    at_a_time: Annotated[
        int, typer.Option("--mini-batch-size", "-n", min=1, max=10_000, help="Rows in flight.")
    ] = 10,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="FIELD=COLUMN where they are not called alike; repeatable."),
    ] = None,
    canary: Annotated[
        int | None, typer.Option(min=1, help="Rows tried before a person approves the others.")
    ] = None,
    fail_after: FailAfter = None,
    judge_after: JudgeAfter = None,
    follow: Annotated[bool, typer.Option(help="Watch it until it rests.")] = True,
    is_fresh: Fresh = False,
    idempotency_key: IdempotencyKey = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow once for each row of a dataset. Ctrl-C leaves the batch running."""
    _check_file(dataset, idempotency_key)
    column_map, threshold = read_columns(columns), read_threshold(fail_after, judge_after)
    with connected(url, api_key) as client:
        live = client.batch(
            find_workflow(client, workflow).id,
            dataset,
            mini_batch_size=at_a_time,
            column_map=column_map,
            failure_threshold=threshold,
            canary=canary,
            fresh=is_fresh,
            idempotency_key=idempotency_key,
        )
        if not as_json:
            say(f"Batch {live.id} has started.")
        follow_batch(client, live, stays=follow, as_json=as_json, url=url)


def follow_batch(client: Client, live: LiveBatch, *, stays: bool, as_json: bool, url: str) -> NoReturn:
    """Show a batch until it rests, or leave it alone, and end the command with what that means."""
    if stays and not live.run.status.is_resting:
        with left_running("batch", live.id, url):
            watch(live, quiet=as_json)
    seen = live.refresh()
    if as_json:
        print_json(seen)
    else:
        show_end(seen, url, asks=seen.status is Status.PAUSED and _asks(client, seen))
    raise typer.Exit(code_of(seen) if stays else Exit.DONE)


def _asks(client: Client, seen: Run) -> bool:
    """Whether the batch itself waits for a person, not only rows of it."""
    return any(pause.resume_action is None for pause in client.pause_history(seen.id))


def _check_file(dataset: str, idempotency_key: str | None) -> None:
    """What has a suffix is a file's name, and must be there before anything starts."""
    file = Path(dataset)
    if file.suffix and not file.is_file():
        fail(f"there is no file {dataset}", Exit.USAGE)
    if file.suffix and idempotency_key is not None:
        fail("with --idempotency-key, name a dataset by its id: a file makes a new one each time", Exit.USAGE)


def watch(live: LiveBatch, *, quiet: bool = False) -> None:
    """Show a bar until the batch rests; a line now and then where there is no terminal."""
    if quiet:
        for _ in live.progress():
            pass
    elif console.is_terminal:
        _watch_bar(live)
    else:
        for counts in live.progress():
            say(f"{counts.finished}/{counts.total} rows: {counts_line(counts)}")


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


def show_end(seen: Run, url: str, *, asks: bool) -> None:
    """How the batch stands, and what to do next; `asks`: its canary was tried."""
    console.print(f"{status(seen.status)} batch [bold]{seen.id}[/]  {seconds(seen.duration)}")
    if seen.message:
        say(seen.message)
    if asks:
        say(f"Its first rows have been tried. Run the others: {command('approve', seen.id, url)}")
        say(f"How they ended: {command('batch-status', seen.id, url)}")
    elif seen.status is Status.PAUSED:
        console.print("Some rows wait for a person: rowel runs --status PAUSED")
    elif seen.status is Status.COMPLETED:
        say(f"Its rows: {command('download', seen.id, url)}")
        if "failed" in (seen.message or ""):
            say(f"Why rows failed: {command('batch-status', seen.id, url)}")
            say(f"Run them again: {command('redrive', seen.id, url)}")
    elif seen.status is Status.FAILED:
        say(f"Why rows failed: {command('batch-status', seen.id, url)}")
        say(f"Run the others: {command('redrive', seen.id, url)} --unfinished")
    elif not seen.status.is_final:
        say(f"Follow it: {command('show', seen.id, url)} --follow")
