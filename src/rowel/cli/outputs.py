"""What batches wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rowel.cli.exits import Exit, fail
from rowel.cli.looks import say
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, print_json


def download(
    run_id: Annotated[str, typer.Argument(help="The batch's id.")],
    target: Annotated[Path | None, typer.Argument(help="Where to; the file's own name by default.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Fetch what a batch wrote: JSON Lines, one line for each row, in order."""
    with connected(url, api_key) as client:
        file_id = client.get_run(run_id).output_file_id
        if file_id is None:
            fail(f"run {run_id} is no batch and wrote no file", Exit.REFUSED)
        place = target or Path(client.outputs.get(file_id).file_name)
        try:
            client.outputs.download(file_id, place)
        except OSError as error:
            fail(f"{place} can't be written: {error.strerror}", Exit.USAGE)
    if as_json:
        print_json({"file": str(place)})
    else:
        say(f"{place}  {place.stat().st_size:,} bytes")
