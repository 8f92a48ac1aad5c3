"""Shows Rowel at work: a server on a fresh data directory, real workflows, a batch that a person lets end.

With a terminal it goes on serving until Ctrl-C; without one it stops what it started and exits 0. It needs no key; with
OPENAI_API_KEY or OPENAI_BASE_URL set it has a model sort a ticket too (OPENAI_MODEL names another model).
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from rich.table import Table

from rowel.cli import looks
from rowel.cli.batches import watch
from rowel.cli.looks import console, say
from rowel.cli.workflows import exported
from rowel.client import Client, StillRunning
from rowel.client.blocking import LiveBatch
from rowel.client.models import Run, Workflow
from rowel.client.words import Status

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
INVOICES = EXAMPLES / "invoice-approval" / "invoices.csv"
ROWEL = Path(sys.executable).with_name("rowel")
USUAL_PORT = 6080
#: Seconds that the server may take to end, a little more than it gives its tasks; and a model to answer.
END_S = 30.0
MODEL_S = 60.0
#: The rows of the output file that the table shows.
SHOWN = 8
INTERRUPTED = 130

_numbers = count(1)


def main() -> int:
    """Show everything once; return the exit code."""
    data = Path(tempfile.mkdtemp(prefix="rowel-demo-"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with served(data) as process, Client(url_of(process)) as client:
            show_beginning(client, data)
            show(client, import_examples(client))
            if sys.stdin.isatty() and sys.stdout.isatty():
                wait_for_the_end(process)
    except KeyboardInterrupt:
        return INTERRUPTED
    say(f"\nStopped. What happened is kept: {here(ROWEL)} serve --data {data}")
    return 0


def show(client: Client, workflows: dict[str, Workflow]) -> None:
    invoices = workflows["invoice-approval"]
    show_run(client, invoices)
    show_background_run(client, invoices)
    show_partial_run(client, invoices)
    batch = show_batch(client, invoices)
    approve_the_large_one(client, invoices, batch)
    show_results(batch)
    if has_model():
        show_triage(client, workflows["ticket-triage"])
    show_addresses(client, batch)


@contextmanager
def served(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A server in a session of its own, so that Ctrl-C reaches it through us alone. It is let end in peace."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWEL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "rowel", "serve", "--data", str(data), "--port", str(port())],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            process.wait()


def port() -> int:
    """The usual port, or 0 for a free one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", USUAL_PORT))
            return USUAL_PORT
    return 0


def url_of(process: subprocess.Popen[str]) -> str:
    """Where the server says that it serves; it takes requests by then."""
    assert process.stdout is not None
    found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
    if found is None:
        raise SystemExit("The server did not start; its reason is above.")
    return found.group()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def wait_for_the_end(process: subprocess.Popen[str]) -> None:
    say("\nServing until Ctrl-C.")
    with suppress(KeyboardInterrupt):
        process.wait()


def heading(text: str) -> None:
    console.print(f"\n[bold cyan]{next(_numbers)}[/]  [bold]{text}[/]\n")


def lines(*pairs: Sequence[str]) -> None:
    """Names and values below each other. Long sentences are wrapped, addresses and commands are not."""
    width = max(len(name) for name, _ in pairs)
    indent = " " * (width + 5)
    for name, value in pairs:
        wrapped = textwrap.wrap(
            value, max(30, console.width - len(indent)), break_long_words=False, break_on_hyphens=False
        )
        console.print(f"   [dim]{name:{width}}[/]  ", end="")
        say(f"\n{indent}".join(wrapped))


def here(path: Path) -> Path:
    """The path as it is typed here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def show_beginning(client: Client, data: Path) -> None:
    taken = "" if client.base_url.endswith(f":{USUAL_PORT}") else f" (port {USUAL_PORT} is taken)"
    console.print("\n[bold]Rowel[/] runs AI workflows durably.\n")
    lines(("serves at", f"{client.base_url}{taken}"), ("data", f"{data} (SQLite, fresh)"))


def import_examples(client: Client) -> dict[str, Workflow]:
    """Bring in every example; return them by the name of their directory."""
    found = {}
    for file in sorted(EXAMPLES.glob("*/workflow.json")):
        name, definition, description = exported(file)
        found[file.parent.name] = client.workflows.create(name, with_model(definition), description)
    heading(f"The {len(found)} example workflows are imported")
    lines(*((workflow.name, workflow.description or "") for workflow in found.values()))
    return found


def with_model(definition: dict[str, Any]) -> dict[str, Any]:
    """The definition asking OPENAI_MODEL, where that is set, instead of the example's own choice."""
    model = os.environ.get("OPENAI_MODEL")
    for node in definition["nodes"]:
        if model and "llm_info" in node["config"]:
            node["config"]["llm_info"]["model"] = f"openai/{model}"
    return definition


def inputs_of(name: str) -> dict[str, dict[str, Any]]:
    return {"input_node": json.loads((EXAMPLES / name / "inputs.json").read_text())}


def show_run(client: Client, invoices: Workflow) -> None:
    heading("A blocking run: an invoice that is small enough to be booked at once")
    outputs = client.run(invoices.id, inputs_of("invoice-approval"))["output_node"]
    lines(*((name, str(value)) for name, value in outputs.items()))


def show_background_run(client: Client, invoices: Workflow) -> None:
    heading("The same in the background, looked at when it has ended")
    live = client.start(invoices.id, inputs_of("invoice-approval"))
    console.print(looks.run_tree(live.wait()))


def show_partial_run(client: Client, invoices: Workflow) -> None:
    heading("A part of it: the router alone, on an amount that we make up")
    outputs = client.run_partial(invoices.id, "by_amount", partial_outputs={"parse": {"amount": 25_000}})
    fired = [route for route, carried in outputs["by_amount"].items() if carried is not None]
    console.print(f"   25,000 takes the route [bold]{', '.join(fired)}[/].")


def show_batch(client: Client, invoices: Workflow) -> LiveBatch:
    heading(f"A batch: a run for each row of {INVOICES.name}, 10 at a time")
    batch = client.batch(invoices.id, INVOICES, mini_batch_size=10)
    watch(batch)
    return batch


def approve_the_large_one(client: Client, invoices: Workflow, batch: LiveBatch) -> None:
    waiting = waiting_row(client, invoices, batch)
    invoice = (waiting.initial_inputs or {})["input_node"]
    (pause,) = client.pause_history(waiting.id)
    heading("One row waits for a person, and kept none of the others from ending")
    decided = client.decide(
        waiting.id, "APPROVE", user_id="ann", inputs={"approved_by": "Ann"}, comments="Ordered in March."
    )
    ended = batch.wait()
    lines(
        ("invoice", f"{invoice['invoice_id']}, {invoice['vendor']}, {invoice['amount']}"),
        ("asked", pause.pause_message or ""),
        ("answered", decided.message or ""),
        ("the batch", f"{ended.status}: {ended.message}"),
    )


def waiting_row(client: Client, invoices: Workflow, batch: LiveBatch) -> Run:
    rows = client.runs(invoices.id, status="PAUSED", page_size=100)
    (waiting,) = [row for row in rows if row.parent_run_id == batch.id]
    return waiting


def show_results(batch: LiveBatch) -> None:
    with tempfile.TemporaryDirectory() as directory:
        written = batch.download(Path(directory) / "output.jsonl").read_text().splitlines()
    booked = [json.loads(line)["output_node"] for line in written]
    heading(f"The results: {len(booked)} rows in the output file, of which these are the largest")
    table = Table(show_edge=False, pad_edge=False)
    for name in ("invoice", "vendor", "amount", "currency", "approved by"):
        table.add_column(name, justify="right" if name == "amount" else "left", no_wrap=True)
    for row in sorted(booked, key=lambda row: -row["amount"])[:SHOWN]:
        is_small = row["approved_by"] == "limit"
        amount, by = f"{row['amount']:,.2f}", "under the limit" if is_small else row["approved_by"]
        style = "" if is_small else "bold yellow"
        table.add_row(row["invoice_id"], row["vendor"], amount, row["currency"], by, style=style)
    console.print(table)


def has_model() -> bool:
    return any(os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"))


def show_triage(client: Client, triage: Workflow) -> None:
    heading("A ticket that a language model sorts")
    live = client.start(triage.id, inputs_of("ticket-triage"))
    with console.status("The model is asked."), suppress(StillRunning):
        live.wait(MODEL_S)
    seen = live.refresh()
    console.print(looks.run_tree(seen))
    print()
    if seen.status is Status.COMPLETED:
        lines(*((name, str(value)) for name, value in (seen.outputs or {})["output_node"].items()))
    else:
        say("   The rest needs no model.")


def show_addresses(client: Client, batch: LiveBatch) -> None:
    heading("Look around")
    lines(
        ("the API", f"{client.base_url}/docs"),
        ("all runs", f"{client.base_url}/run/"),
        ("the batch", f"{client.base_url}/run/{batch.id}/"),
        ("its output file", f"{client.base_url}/of/{batch.run.output_file_id}/download/"),
        ("on the command line", f"{here(ROWEL)} runs --url {client.base_url}"),
    )


if __name__ == "__main__":
    raise SystemExit(main())
