"""What batches wrote."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rowel.cli.exits import Exit, fail
from rowel.cli.looks import say
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, print_json


class FileFormat(StrEnum):
    """What a file may be fetched as."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def download(
    run_id: Annotated[str, typer.Argument(help="The batch's id.")],
    target: Annotated[Path | None, typer.Argument(help="Where to; the file's own name by default.")] = None,
    file_format: Annotated[
        FileFormat | None,
        typer.Option("--format", help="By default what TARGET's extension says, else jsonl."),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Fetch what a batch wrote, one line for each row, in order: JSON Lines, or a table."""
    kind = file_format or _said_by(target)
    with connected(url, api_key) as client:
        file_id = client.get_run(run_id).output_file_id
        if file_id is None:
            fail(f"run {run_id} is no batch and wrote no file", Exit.REFUSED)
        place = target or Path(client.outputs.get(file_id).file_name).with_suffix(f".{kind}")
        try:
            client.outputs.download(file_id, place, kind)
        except OSError as error:
            fail(f"{place} can't be written: {error.strerror}", Exit.USAGE)
    if as_json:
        print_json({"file": str(place)})
    else:
        say(f"{place}  {place.stat().st_size:,} bytes")


def _said_by(target: Path | None) -> FileFormat:
    """The format that a file name's extension says."""
    extension = target.suffix.lower().removeprefix(".") if target else ""
    return FileFormat(extension) if extension in list(FileFormat) else FileFormat.JSONL
