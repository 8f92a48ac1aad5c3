"""Commands about workflows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rowel.cli import looks
from rowel.cli.exits import Exit, fail
from rowel.cli.looks import console, say
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, print_json


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Exported workflows (JSON).", exists=True)],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Bring in workflows from PySpur's or Rowel's export files."""
    found = [(file, *exported(file)) for file in files]
    with connected(url, api_key) as client:
        made = [
            client.workflows.create(name, definition, description)
            for _, name, definition, description in found
        ]
    if as_json:
        print_json(list(made))
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
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        fail(f"{file} can't be read as JSON: {error}", Exit.USAGE)
    if not isinstance(value, dict):
        fail(f"{file} must hold a JSON object", Exit.USAGE)
    definition = value.get("definition", value)
    return str(value.get("name") or file.stem), definition, value.get("description") or None
