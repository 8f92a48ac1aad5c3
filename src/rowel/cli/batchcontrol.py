"""Commands about batches on their way, and about running rows again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rowel.cli import looks
from rowel.cli.batches import follow_batch
from rowel.cli.exits import Exit, fail
from rowel.cli.looks import console, say
from rowel.cli.reruns import read_version
from rowel.cli.runs import RunArgument
from rowel.cli.server import DEFAULT_URL, ApiKey, AsJson, Fresh, IdempotencyKey, Url, connected, print_json
from rowel.cli.wishes import AtATime, FailAfter, JudgeAfter, read_rows, read_threshold


def batch_status(
    run_id: RunArgument, url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False
) -> None:
    """Show how a batch stands: counts, rate, time left, cost, and why rows failed."""
    with connected(url, api_key) as client:
        standing = client.batches.get(run_id)
    if as_json:
        print_json(standing)
    else:
        console.print(looks.standing(run_id, standing))


def batch_change(
    run_id: RunArgument,
    at_a_time: AtATime = None,
    fail_after: FailAfter = None,
    judge_after: JudgeAfter = None,
    is_lifted: Annotated[
        bool, typer.Option("--no-threshold", help="Let it go on however many rows fail.")
    ] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Change how many rows of an open batch may be in flight, and how many may fail."""
    threshold = read_threshold(fail_after, judge_after)
    if is_lifted and threshold:
        fail("--no-threshold and --fail-after contradict each other", Exit.USAGE)
    if at_a_time is None and threshold is None and not is_lifted:
        fail("say what is to change: --mini-batch-size, --fail-after or --no-threshold", Exit.USAGE)
    with connected(url, api_key) as client:
        standing = client.batches.change(
            run_id, mini_batch_size=at_a_time, failure_threshold={} if is_lifted else threshold
        )
    if as_json:
        print_json(standing)
    else:
        console.print(looks.standing(run_id, standing))


def redrive(
    run_id: RunArgument,
    is_failed: Annotated[bool, typer.Option("--failed", help="Rows that failed; so without a word.")] = False,
    is_unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Rows that did not complete: failed, canceled, never begun.")
    ] = False,
    rows: Annotated[str | None, typer.Option(help="Row numbers from 0, such as 3,7-9.")] = None,
    cause: Annotated[
        str | None, typer.Option(help="Rows that failed for this cause, as `rowel batch-status` names it.")
    ] = None,
    version: Annotated[str, typer.Option(help="same, latest, or a number.")] = "same",
    stay: Annotated[bool, typer.Option("--follow/--no-follow", help="Watch it until it rests.")] = True,
    is_fresh: Fresh = False,
    idempotency_key: IdempotencyKey = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Run rows of an ended batch again, as a new batch whose output holds all rows."""
    if is_failed + is_unfinished + (rows is not None) + (cause is not None) > 1:
        fail("--failed, --unfinished, --rows and --cause exclude each other", Exit.USAGE)
    chosen: Any = "unfinished" if is_unfinished else "failed"
    if rows is not None:
        chosen = read_rows(rows, "--rows")
    wanted = read_version(version)
    with connected(url, api_key) as client:
        live = client.redrive(
            run_id, chosen, cause=cause, version=wanted, fresh=is_fresh, idempotency_key=idempotency_key
        )
        if not as_json:
            say(f"Batch {live.id} runs rows of batch {run_id} again.")
        follow_batch(client, live, stays=stay, as_json=as_json, url=url)
