"""The commands that run Rowel itself: the server, and workers beside it."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Annotated

import typer

from rowel.cli.exits import Exit, fail


def serve(
    host: Annotated[str | None, typer.Option(help="ROWEL_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="ROWEL_PORT, else 6080; 0 takes a free one.")] = None,
    data: Annotated[Path | None, typer.Option(help="ROWEL_DATA, else ./rowel-data.")] = None,
) -> None:
    """Serve the API until Ctrl-C or SIGTERM. Running tasks get 25 seconds to end; runs go on at the next start."""
    _hurry()
    from rowel.app import serve as serve_app
    from rowel.core.errors import Invalid
    from rowel.settings import Settings

    try:
        settings = Settings.from_environment(os.environ, host=host, port=port, data=data)
    except Invalid as error:
        fail(error.message, Exit.USAGE)
    raise typer.Exit(serve_app(settings))


def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Runs at a time. ROWEL_CONCURRENCY, else 32.")
    ] = None,
    batch_concurrency: Annotated[
        int | None, typer.Option(help="Rows of batches at a time. ROWEL_BATCH_CONCURRENCY, else 8.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Show /metrics on this port of ROWEL_HOST. ROWEL_METRICS_PORT, else nowhere."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="ROWEL_DATA, else ./rowel-data.")] = None,
) -> None:
    """Execute what `rowel serve` accepts, on a Postgres that both share (ROWEL_DATABASE_URL), until Ctrl-C or SIGTERM.

    Start as many as there is work for, on any machine that reaches the database and the files.
    """
    _hurry()
    from rowel.app import work
    from rowel.core.errors import Invalid
    from rowel.settings import Settings

    try:
        settings = Settings.from_environment(
            os.environ,
            data=data,
            concurrency=concurrency,
            batch_concurrency=batch_concurrency,
            metrics_port=metrics_port,
        )
    except Invalid as error:
        fail(error.message, Exit.USAGE)
    raise typer.Exit(work(settings))


def _hurry() -> None:
    """Collect no garbage while everything is loaded, for there is none. The app begins to collect once it is ready."""
    gc.disable()
