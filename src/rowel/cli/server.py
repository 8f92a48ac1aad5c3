"""Which server a command talks to, and how its answer is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowel.cli.exits import Exit, fail, told_plainly
from rowel.client.messages import keyed
from rowel.client.models import Model, Workflow

if TYPE_CHECKING:
    from rowel.client import Client

DEFAULT_URL = "http://127.0.0.1:6080"

Url = Annotated[str, typer.Option("--url", envvar="ROWEL_URL", help="Where the server is.")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="ROWEL_API_KEY", help="Your key, where one is needed.")
]


def _checked_key(key: str | None) -> str | None:
    try:
        keyed(key)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return key


IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", callback=_checked_key, help="Do this once, however often it comes with this key."
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Run nodes with cache_s again; don't ask the step cache.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def connected(url: str, api_key: str | None) -> Iterator[Client]:
    """A client of this server; what goes wrong is told plainly."""
    from rowel.client import Client  # loads httpx, which `rowel --help` can do without

    if not url.startswith(("http://", "https://")):
        fail(f"--url takes an address such as {DEFAULT_URL}, not {url!r}", Exit.USAGE)
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        fail("--api-key holds characters that no key has", Exit.USAGE)
    with told_plainly(), Client(url, api_key) as client:
        yield client


def find_workflow(client: Client, id_or_name: str) -> Workflow:
    """The workflow with this id or name; ends the command where there is none, or more than one."""
    found = client.workflows.find(id_or_name)
    if not found:
        fail(f"there is no workflow {id_or_name!r}; `rowel import FILE` brings one in", Exit.REFUSED)
    if len(found) > 1:
        ids = ", ".join(workflow.id for workflow in found)
        fail(f"{len(found)} workflows are called {id_or_name!r}; name one by its id: {ids}", Exit.USAGE)
    return found[0]


def print_json(value: Any) -> None:
    """Print a value, a model or a list of models as the server wrote it."""
    typer.echo(json.dumps(_plain(value), indent=2, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return dict(value.wire)
    return [_plain(item) for item in value] if isinstance(value, list) else value
