"""The command that repeats runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowel.cli import looks
from rowel.cli.documents import parse, read_object
from rowel.cli.exits import Exit, code_of, fail
from rowel.cli.following import left_running
from rowel.cli.inputs import read_inputs
from rowel.cli.looks import console, say
from rowel.cli.runs import Given, RunArgument, show_end
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Fresh, IdempotencyKey, Url, connected, print_json
from rowel.client.models import Run

if TYPE_CHECKING:
    from rowel.client import Client


def rerun(
    run_id: RunArgument,
    from_nodes: Annotated[
        list[str] | None,
        typer.Option("--from", "-f", help="A node that runs, with all behind it; repeatable."),
    ] = None,
    edits: Annotated[
        list[str] | None,
        typer.Option("--edit", "-e", help="NODE=JSON or NODE=@file.json: outputs it has now; repeatable."),
    ] = None,
    given: Given = None,
    version: Annotated[str, typer.Option(help="same, latest, or a number.")] = "same",
    is_plan: Annotated[bool, typer.Option("--plan", help="Show what would run, and start nothing.")] = False,
    background: Annotated[bool, typer.Option("--background", help="Print the run's id at once.")] = False,
    every_node: Annotated[bool, typer.Option("--all", help="Show the outputs of every node.")] = False,
    is_fresh: Fresh = False,
    idempotency_key: IdempotencyKey = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a run that has ended, reusing what still counts. Ctrl-C leaves it running."""
    wish: dict[str, Any] = {
        "from_nodes": from_nodes,
        "edits": dict(map(_edit, edits or [])) or None,
        "version": read_version(version),
    }
    with connected(url, api_key) as client:
        old = client.get_run(run_id)
        wish["inputs"] = read_inputs(client, _definition(old), given or [])
        if is_plan:
            _show_plan(client, run_id, wish, as_json=as_json)
            return
        live = client.rerun(run_id, **wish, fresh=is_fresh, idempotency_key=idempotency_key)
        if background:
            seen = live.run
        else:
            with left_running("run", live.id, url):
                seen = live.wait()
    if as_json:
        print_json(seen)
    else:
        show_end(seen, _definition(seen), every_node=every_node, url=url)
    raise typer.Exit(Exit.DONE if background else code_of(seen))


def _show_plan(client: Client, run_id: str, wish: dict[str, Any], *, as_json: bool) -> None:
    plan = client.plan_rerun(run_id, **wish)
    if as_json:
        print_json(plan)
        return
    say(f"A rerun of {plan.rerun_of} on version {plan.version} would do this; nothing was started.")
    console.print(looks.plan(plan))


def _definition(run: Run) -> dict[str, Any]:
    """The definition that this run runs."""
    version: dict[str, Any] = run.wire["workflow_version"]
    return dict(version["definition"])


def _edit(item: str) -> tuple[str, dict[str, Any]]:
    node_id, sign, text = item.partition("=")
    if not sign or not node_id:
        fail(f"--edit takes NODE=JSON or NODE=@file.json, not {item!r}", Exit.USAGE)
    if text.startswith("@"):
        return node_id, read_object(Path(text[1:]))
    try:
        outputs = parse(text)
    except ValueError as error:
        fail(f"--edit {node_id}: what is given is not JSON: {error}", Exit.USAGE)
    if not isinstance(outputs, dict):
        fail(f"--edit {node_id}: a node's outputs are a JSON object", Exit.USAGE)
    return node_id, outputs


def read_version(text: str) -> int | str:
    """Which version is meant: same, latest, or a number."""
    if text in ("same", "latest"):
        return text
    if not (text.isascii() and text.isdigit()):
        fail(f"--version takes same, latest or a number, not {text!r}", Exit.USAGE)
    return int(text)
