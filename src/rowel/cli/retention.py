"""What is old goes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from rowel.cli.exits import Exit, fail
from rowel.cli.looks import say
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, print_json

if TYPE_CHECKING:
    from rowel.client.models import Pruned

_AGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: What the server takes.
_LONGEST = timedelta(seconds=3_200_000_000)


def prune(
    older_than: Annotated[str, typer.Option(help="How long ago a run ended: 90s, 30m, 12h, 30d, 8w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and remove nothing.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Remove runs that ended long ago, with their tasks, events and output files, beside whatever runs.

    Open runs and what they need stay, and so do workflows, datasets and uploads.
    """
    age = read_age(older_than)
    with connected(url, api_key) as client:
        done = client.prune(age, dry_run=dry_run)
    if as_json:
        print_json(done)
    else:
        say(f"{'Would remove' if dry_run else 'Removed'} {_told(done)}.")


def read_age(text: str) -> timedelta:
    """A time such as `30d`; ends the command where it is none."""
    found = _AGE.fullmatch(text.strip())
    try:
        age = timedelta(**{_UNITS[found[2]]: float(found[1])}) if found else None
    except OverflowError:
        age = None
    if age is None or age > _LONGEST:
        fail(f"--older-than takes a number with s, m, h, d or w, such as 30d, not {text[:100]!r}", Exit.USAGE)
    return age


def _told(done: Pruned) -> str:
    orphans = f" and {done.orphans:,} files without a record" if done.orphans else ""
    return (
        f"{done.runs:,} runs with {done.tasks:,} tasks and {done.events:,} events, "
        f"{done.output_files:,} output files{orphans}: {done.bytes:,} bytes of files"
    )
