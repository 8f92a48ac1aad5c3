"""Backups of a data directory, and the way back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowel.cli.exits import Exit, fail
from rowel.cli.looks import say
from rowel.cli.server import AsJson, print_json

if TYPE_CHECKING:
    from rowel.files.store import FileStore
    from rowel.settings import Settings

Data = Annotated[Path | None, typer.Option("--data", help="ROWEL_DATA, else ./rowel-data.")]

ON_POSTGRES = (
    "ROWEL_DATABASE_URL names a Postgres, which this command leaves alone: use pg_dump and pg_restore, and copy the "
    "files; docs/operations.md says how"
)


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The new file; a tar.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Copy the database and all files into one FILE, beside a running server.

    Everything that was acknowledged when it began is in it. The file is there at once, or not at all.
    """
    settings = _settings(data)
    with _told_plainly():
        from rowel.engine.backup.take import take_backup
        from rowel.engine.clock import SystemClock

        taken = take_backup(settings.data, target, _files(settings), SystemClock().now())
    _show(f"{target} holds", taken, as_json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Unpack a backup into an empty data directory. Then `rowel serve` goes on with the runs that were open.

    Checks all of it first. Refuses a directory that is not empty or in use. The server that was backed up must not
    go on as well: both would execute its open runs.
    """
    import asyncio

    settings = _settings(data)
    with _told_plainly():
        from rowel.engine.backup.put_back import put_back

        files = _files(settings) if settings.files_url else None
        found = asyncio.run(put_back(source, settings.data, files))
    _show(f"{settings.data} holds", found, as_json)
    if not as_json:
        say(f"Go on: rowel serve --data {settings.data}")


def _settings(data: Path | None) -> Settings:
    from rowel.core.errors import Invalid
    from rowel.settings import Settings

    try:
        settings = Settings.from_environment(os.environ, data=data)
    except Invalid as error:
        fail(error.message, Exit.USAGE)
    if settings.is_on_postgres:
        fail(ON_POSTGRES, Exit.USAGE)
    return settings


def _files(settings: Settings) -> FileStore:
    from rowel.files.store import FileStore

    return FileStore(settings.files_url or str(settings.data / "files"))


@contextmanager
def _told_plainly() -> Iterator[None]:
    from rowel.core.errors import Conflict, Invalid, NotFound, Unavailable

    try:
        yield
    except (NotFound, Conflict) as error:
        fail(error.message, Exit.USAGE)
    except Invalid as error:
        fail(error.message, Exit.REFUSED)
    except Unavailable as error:
        fail(error.message, Exit.UNAVAILABLE)


def _show(what: str, found: Any, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    contents = found.contents
    say(
        f"{what} {contents.workflows:,} workflows, {contents.runs:,} runs ({contents.open_runs:,} of them open) and "
        f"{found.files:,} files: {found.size:,} bytes, as of {contents.made_at}."
    )
