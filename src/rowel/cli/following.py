"""Watching a run until it rests, and leaving it alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.live import Live

from rowel.cli import looks
from rowel.cli.exits import Exit
from rowel.cli.looks import console, say
from rowel.cli.server import DEFAULT_URL

if TYPE_CHECKING:
    from rowel.client.blocking import LiveRun
    from rowel.client.models import Event, Run

#: Seconds between two pictures of a run.
PICTURE_EACH_S = 0.25

Show = Callable[["Event"], None]


@contextmanager
def left_running(what: str, run_id: str, url: str) -> Iterator[None]:
    """Ctrl-C leaves the run alone, says how to come back, and ends the command."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nThe {what} goes on. Come back: {command('show', run_id, url)} --follow")
        say(f"Or end it: {command('cancel', run_id, url)}")
        raise typer.Exit(Exit.WAITING) from None


def command(verb: str, run_id: str, url: str) -> str:
    """A command about a run, as it is typed."""
    return f"rowel {verb} {run_id}" + ("" if url == DEFAULT_URL else f" --url {url}")


def follow(live: LiveRun, *, quiet: bool = False) -> Run:
    """Show what happens to a run until it has ended or waits for a person; return it as it then is."""
    with _showing(live, quiet=quiet) as show:
        for event in live.events():
            show(event)
            status = event.run_status
            if status is not None and status.is_resting and live.refresh().status.is_resting:
                break
    return live.refresh()


@contextmanager
def _showing(live: LiveRun, *, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        with Live(looks.run_tree(live.run), console=console, transient=True) as picture:
            yield _pictures(live, picture)
    else:
        yield _print_line


def _pictures(live: LiveRun, picture: Live) -> Show:
    last = 0.0

    def show(_: Event) -> None:
        nonlocal last
        if time.monotonic() - last >= PICTURE_EACH_S:
            last = time.monotonic()
            picture.update(looks.run_tree(live.refresh()))

    return show


def _print_line(event: Event) -> None:
    line = looks.event_line(event)
    if line:
        console.print(line)
