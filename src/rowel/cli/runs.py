"""Commands about runs."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from rowel.cli import looks
from rowel.cli.exits import Exit, code_of
from rowel.cli.inputs import read_answer, read_inputs
from rowel.cli.looks import console
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Url, connected, find_workflow, print_json
from rowel.client import Client
from rowel.client.models import Run
from rowel.client.words import Action, Status

WorkflowArgument = Annotated[str, typer.Argument(help="The workflow's id or name.")]
RunArgument = Annotated[str, typer.Argument(help="The run's id.")]
Given = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="field=value (JSON or text), field=@file, or @file.json; repeatable."),
]


def run(
    workflow: WorkflowArgument,
    given: Given = None,
    background: Annotated[bool, typer.Option("--background", help="Print the run's id at once.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow and show what its nodes gave."""
    with connected(url, api_key) as client:
        found = find_workflow(client, workflow)
        live = client.start(found.id, read_inputs(client, found, given or []))
        seen = live.run if background else live.wait()
    _show_end(seen, as_json=as_json, url=url)
    raise typer.Exit(Exit.DONE if background else code_of(seen))


def _show_end(seen: Run, *, as_json: bool, url: str) -> None:
    if as_json:
        print_json(seen)
        return
    console.print(f"{looks.status(seen.status)} run [bold]{seen.id}[/]  {looks.seconds(seen.duration)}")
    if seen.status is Status.COMPLETED:
        console.print(looks.outputs(seen.outputs or {}))
    elif seen.message:
        console.print(seen.message, markup=False)
    if seen.status is Status.PAUSED:
        console.print(f"It waits for a person: rowel approve {seen.id} | decline | override", markup=False)
    elif not seen.status.is_final:
        console.print(f"Follow it: rowel show {seen.id} --follow --url {url}", markup=False)


def list_runs(
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Its id or name.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only runs with this status.")] = None,
    run_type: Annotated[str | None, typer.Option(help="interactive, batch, partial or rerun.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    with connected(url, api_key) as client:
        workflow_id = find_workflow(client, workflow).id if workflow else None
        found = client.runs(workflow_id, status=status, run_type=run_type, page_size=limit)
    if as_json:
        print_json(list(found))
    else:
        console.print(looks.runs(found))


def show(
    run_id: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it rests.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show a run as a tree: statuses, times, errors."""
    with connected(url, api_key) as client:
        seen = client.get_run(run_id)
        if follow and not seen.status.is_resting:
            seen = _follow(client, seen, as_json=as_json)
    if as_json:
        print_json(seen)
    else:
        console.print(looks.run_tree(seen))


def _follow(client: Client, seen: Run, *, as_json: bool) -> Run:
    from rowel.cli.batches import watch

    live = client.attach(seen.id)
    if seen.run_type == "batch" and seen.output_file_id:
        watch(live, quiet=as_json)
        return live.refresh()
    return live.wait()


def approve(
    run_id: RunArgument,
    given: Given = None,
    node_id: Annotated[str | None, typer.Option(help="Which pause, where several are open.")] = None,
    user: Annotated[str | None, typer.Option(help="Who decides; your login name by default.")] = None,
    comments: Annotated[str | None, typer.Option("--comments", "-m", help="Why.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Let a waiting run go on with what its node received, updated by --input."""
    _decide(Action.APPROVE, run_id, given, node_id, user, comments, url, api_key, as_json)


def decline(
    run_id: RunArgument,
    given: Given = None,
    node_id: Annotated[str | None, typer.Option(help="Which pause, where several are open.")] = None,
    user: Annotated[str | None, typer.Option(help="Who decides; your login name by default.")] = None,
    comments: Annotated[str | None, typer.Option("--comments", "-m", help="Why.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Refuse: the node's `declined` route is taken, or the run is canceled."""
    _decide(Action.DECLINE, run_id, given, node_id, user, comments, url, api_key, as_json)


def override(
    run_id: RunArgument,
    given: Given = None,
    node_id: Annotated[str | None, typer.Option(help="Which pause, where several are open.")] = None,
    user: Annotated[str | None, typer.Option(help="Who decides; your login name by default.")] = None,
    comments: Annotated[str | None, typer.Option("--comments", "-m", help="Why.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Let a waiting run go on with --input alone."""
    _decide(Action.OVERRIDE, run_id, given, node_id, user, comments, url, api_key, as_json)


def _decide(
    action: Action,
    run_id: str,
    given: list[str] | None,
    node_id: str | None,
    user: str | None,
    comments: str | None,
    url: str,
    api_key: str | None,
    as_json: bool,
) -> None:
    with connected(url, api_key) as client:
        seen = client.decide(
            run_id,
            action,
            user_id=user or getpass.getuser(),
            inputs=read_answer(given or []),
            comments=comments,
            node_id=node_id,
        )
    if as_json:
        print_json(seen)
    else:
        console.print(f"{seen.message}. The run is {seen.status}.", markup=False)


def cancel(
    run_id: RunArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Cancel an open run with everything it started."""
    with connected(url, api_key) as client:
        seen = client.cancel(run_id)
    if as_json:
        print_json(seen)
    else:
        console.print(looks.status(seen.status), seen.message or "")
