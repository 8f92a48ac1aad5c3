"""Commands about workflows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rowel.cli import looks
from rowel.cli.documents import read_object
from rowel.cli.looks import console, say
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, print_json
from rowel.client.errors import RowelClientError
from rowel.client.models import Workflow


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Exported workflows (JSON).", exists=True)],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Bring in workflows from PySpur's or Rowel's export files."""
    found = [(file, *exported(file)) for file in files]
    made: list[Workflow] = []
    try:
        with connected(url, api_key) as client:
            for file, name, definition, description in found:
                with _named(file):
                    made.append(client.workflows.create(name, definition, description))
    finally:
        _show_made(made, as_json=as_json)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Says which of several files it was that the server would not take."""
    try:
        yield
    except RowelClientError:
        typer.echo(f"rowel: {file} was not imported:", err=True)
        raise


def _show_made(made: list[Workflow], *, as_json: bool) -> None:
    """What came in, also where a later file did not."""
    if made and as_json:
        print_json(made)
        return
    for workflow in made:
        say(f"{workflow.id}  {workflow.name}")


def list_workflows(
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """List workflows, newest first."""
    with connected(url, api_key) as client:
        found = client.workflows.list(page_size=limit)
    if as_json:
        print_json(list(found))
    else:
        console.print(looks.workflows(found))


def exported(file: Path) -> tuple[str, dict[str, Any], str | None]:
    """Name, definition and description of an export file; a bare definition is named after its file."""
    value = read_object(file)
    definition = value.get("definition", value)
    return str(value.get("name") or file.stem), definition, value.get("description") or None
