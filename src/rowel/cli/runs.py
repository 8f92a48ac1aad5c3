"""Commands about runs."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowel.cli import looks
from rowel.cli.exits import Exit, code_of, fail
from rowel.cli.following import command, follow, left_running
from rowel.cli.inputs import read_answer, read_inputs
from rowel.cli.looks import console, say
from rowel.cli.server import (
    DEFAULT_URL,
    ApiKey,
    AsJson,
    Fresh,
    IdempotencyKey,
    Url,
    connected,
    find_workflow,
    print_json,
)
from rowel.cli.wishes import read_rows
from rowel.client.models import RowDecisions, Run
from rowel.client.words import Action, Status

if TYPE_CHECKING:
    from rowel.client import Client

WorkflowArgument = Annotated[str, typer.Argument(help="The workflow's id or name.")]
RunArgument = Annotated[str, typer.Argument(help="The run's id.")]
Given = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="field=value (JSON or text), field=@file, or @file.json; repeatable."),
]

NodeID = Annotated[str | None, typer.Option(help="Which pause, where several are open.")]
User = Annotated[
    str | None, typer.Option(envvar="ROWEL_USER", help="Who decides; your login name by default.")
]
Rows = Annotated[
    str | None,
    typer.Option(
        help="Rows of the batch RUN, such as 3,7-9, or all: one decision for all that wait at --node-id."
    ),
]
ExceptRows = Annotated[str | None, typer.Option("--except", help="Rows that are left out.")]
Comments = Annotated[str | None, typer.Option("--comments", "-m", help="Why.")]

#: Refusals that are shown.
MOST_SHOWN = 20


def run(
    workflow: WorkflowArgument,
    given: Given = None,
    background: Annotated[bool, typer.Option("--background", help="Print the run's id at once.")] = False,
    every_node: Annotated[bool, typer.Option("--all", help="Show the outputs of every node.")] = False,
    is_fresh: Fresh = False,
    idempotency_key: IdempotencyKey = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow and show what its last nodes gave. Ctrl-C leaves it running."""
    with connected(url, api_key) as client:
        found = find_workflow(client, workflow)
        inputs = read_inputs(client, found.definition, given or [])
        live = client.start(found.id, inputs, fresh=is_fresh, idempotency_key=idempotency_key)
        if background:
            seen = live.run
        else:
            with left_running("run", live.id, url):
                seen = live.wait()
    if as_json:
        print_json(seen)
    else:
        show_end(seen, found.definition, every_node=every_node, url=url)
    raise typer.Exit(Exit.DONE if background else code_of(seen))


def show_end(seen: Run, definition: Mapping[str, Any], *, every_node: bool, url: str) -> None:
    """Show what became of a run that a command waited for."""
    console.print(f"{looks.status(seen.status)} run [bold]{seen.id}[/]  {looks.seconds(seen.duration)}")
    if seen.status is Status.COMPLETED:
        outputs = seen.outputs or {}
        console.print(looks.outputs(outputs if every_node else _last_of(outputs, definition)))
        return
    if seen.message:
        say(seen.message)
    if seen.failed_task is not None:
        console.print(looks.trace(seen.failed_task.error or ""), end="")
    if seen.status is Status.PAUSED:
        say(f"It waits for a person: {command('approve', seen.id, url)}")
        console.print("Or decline or override it in the same way.")
    elif seen.status.is_final:
        say(f"See all of it: {command('show', seen.id, url)}")
    else:
        say(f"Follow it: {command('show', seen.id, url)} --follow")


def _last_of(outputs: Mapping[str, Any], definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The outputs of nodes that no link leaves: what a workflow is run for. All where there are none."""
    left = {link.get("source_id") for link in definition.get("links", [])}
    return {node_id: values for node_id, values in outputs.items() if node_id not in left} or outputs


def list_runs(
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Its id or name.")] = None,
    status: Annotated[
        Status | None, typer.Option(help="Only runs with this status.", case_sensitive=False)
    ] = None,
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
    stay: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it rests.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show a run as a tree: statuses, times, errors. With --follow the exit code is that of `rowel run`."""
    with connected(url, api_key) as client:
        seen = client.get_run(run_id)
        if stay and not seen.status.is_resting:
            seen = _follow(client, seen, quiet=as_json, url=url)
    if as_json:
        print_json(seen)
    else:
        console.print(looks.run_tree(seen))
    if stay:
        raise typer.Exit(code_of(seen))


def _follow(client: Client, seen: Run, *, quiet: bool, url: str) -> Run:
    from rowel.cli.batches import watch

    live = client.attach(seen.id)
    is_batch = seen.output_file_id is not None
    with left_running("batch" if is_batch else "run", seen.id, url):
        if not is_batch:
            return follow(live, quiet=quiet)
        watch(live, quiet=quiet)
        return live.refresh()


def _decider(action: Action, summary: str) -> Callable[..., None]:
    """The command that answers a pause with this action."""

    def decide(
        run_id: RunArgument,
        given: Given = None,
        node_id: NodeID = None,
        user: User = None,
        comments: Comments = None,
        rows: Rows = None,
        except_rows: ExceptRows = None,
        idempotency_key: IdempotencyKey = None,
        url: Url = DEFAULT_URL,
        api_key: ApiKey = None,
        as_json: AsJson = False,
    ) -> None:
        words: dict[str, Any] = {
            "user_id": user or _login_name(),
            "inputs": read_answer(given or []),
            "comments": comments,
        }
        if rows is not None or except_rows is not None:
            if node_id is None:
                fail("--rows and --except take --node-id", Exit.USAGE)
            words["rows"] = None if rows in (None, "all") else read_rows(rows, "--rows")
            words["except_rows"] = None if except_rows is None else read_rows(except_rows, "--except")
            with connected(url, api_key) as client:
                made = client.batches.decide(
                    run_id, node_id, action, **words, idempotency_key=idempotency_key
                )
            _show_decisions(made, as_json=as_json)
            return
        with connected(url, api_key) as client:
            seen = client.decide(run_id, action, **words, node_id=node_id, idempotency_key=idempotency_key)
        if as_json:
            print_json(seen)
        else:
            say(f"{seen.message}. The run is {seen.status}.")

    decide.__doc__ = summary
    return decide


approve = _decider(Action.APPROVE, "Let a waiting run go on with what its node received, updated by --input.")
decline = _decider(Action.DECLINE, "Refuse: the node's `declined` route is taken, or the run is canceled.")
override = _decider(Action.OVERRIDE, "Let a waiting run go on with --input alone.")


def _show_decisions(made: RowDecisions, *, as_json: bool) -> None:
    """What became of a decision for many rows. Ends with 4 where none was decided."""
    if as_json:
        print_json(made)
    else:
        say(f"{made.decided} rows were decided" + (f", {made.refused} were not:" if made.refused else "."))
        for refused in made.refusals[:MOST_SHOWN]:
            say(f"  {refused.detail}")
    if not made.decided:
        raise typer.Exit(Exit.REFUSED)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "rowel"


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
