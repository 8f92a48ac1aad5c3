"""Shows Rowel at work: a server on a fresh data directory, real workflows, a batch that a person lets end.

With a terminal it goes on serving until Ctrl-C; without one it stops what it started and exits 0.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from rowel.cli import looks
from rowel.cli.batches import watch
from rowel.cli.looks import console
from rowel.cli.workflows import exported
from rowel.client import Client
from rowel.client.blocking import LiveBatch
from rowel.client.models import Run, Workflow

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
USUAL_PORT = 6080
PATIENCE_S = 30.0
NAME = "Ann from finance"


def main() -> int:
    """Show everything once; return the exit code."""
    data = Path(tempfile.mkdtemp(prefix="rowel-demo-"))
    port = free_port()
    with server(data, port) as process, Client(f"http://127.0.0.1:{port}") as client:
        wait_until_ready(client, process)
        told(f"Rowel serves at {client.base_url} with its data in {data}")
        workflows = import_examples(client)
        invoices = workflows["invoice-approval"]
        show_run(client, invoices)
        show_partial_run(client, invoices)
        batch = run_invoices(client, invoices)
        approve_the_large_one(client, invoices, batch)
        show_results(batch)
        if has_model():
            show_triage(client, workflows["ticket-triage"])
        show_addresses(client, batch)
        if sys.stdin.isatty() and sys.stdout.isatty():
            told("Serving until Ctrl-C.")
            process.wait()
    return 0


@contextmanager
def server(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process; it is ended, and let end in peace, whatever happens here."""
    environment = {**os.environ, "ROWEL_DATA": str(data), "ROWEL_PORT": str(port), "ROWEL_HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rowel", "serve"],
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    except KeyboardInterrupt:
        told("Stopping.")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_port() -> int:
    """The usual port, or a free one where that is taken."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("No port is free.")


def wait_until_ready(client: Client, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not client.is_ready():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("The server did not start; its message is above.")
        time.sleep(0.05)


def told(sentence: str) -> None:
    console.print(f"\n[bold]{sentence}[/]")


def import_examples(client: Client) -> dict[str, Workflow]:
    """Bring in every example; return them by the name of their directory."""
    found = {}
    for file in sorted(EXAMPLES.glob("*/workflow.json")):
        name, definition, description = exported(file)
        found[file.parent.name] = client.workflows.create(name, definition, description)
    told(f"{len(found)} example workflows: " + ", ".join(workflow.name for workflow in found.values()))
    return found


def inputs_of(name: str) -> dict[str, dict[str, object]]:
    return {"input_node": json.loads((EXAMPLES / name / "inputs.json").read_text())}


def show_run(client: Client, invoices: Workflow) -> None:
    told("A blocking run: one invoice, small enough to be booked at once")
    outputs = client.run(invoices.id, inputs_of("invoice-approval"))
    console.print(looks.outputs({"output_node": outputs["output_node"]}))
    told("The same in the background, watched through its events")
    live = client.start(invoices.id, inputs_of("invoice-approval"))
    console.print(looks.run_tree(live.wait()))


def show_partial_run(client: Client, invoices: Workflow) -> None:
    told("Part of a workflow, on given outputs: only the router runs")
    given = {"parse": {"amount": 25000.0, "invoice_id": "x", "vendor": "y", "currency": "EUR"}}
    outputs = client.run_partial(invoices.id, "by_amount", partial_outputs=given)
    fired = [route for route, carried in outputs["by_amount"].items() if carried is not None]
    console.print(f"25,000 EUR takes the route [bold]{fired[0]}[/]")


def run_invoices(client: Client, invoices: Workflow) -> LiveBatch:
    told("A batch: 100 invoices from a CSV, 10 at a time")
    batch = client.batch(invoices.id, EXAMPLES / "invoice-approval" / "invoices.csv", mini_batch_size=10)
    watch(batch)
    return batch


def approve_the_large_one(client: Client, invoices: Workflow, batch: LiveBatch) -> None:
    waiting = waiting_row(client, invoices, batch)
    row = (waiting.initial_inputs or {})["input_node"]
    told(f"One row waits for a person: {row['vendor']}, {row['amount']}")
    decided = client.decide(
        waiting.id, "APPROVE", user_id="ann", inputs={"approved_by": NAME}, comments="Ordered in March."
    )
    console.print(f"{decided.message}", markup=False)
    batch.wait()


def waiting_row(client: Client, invoices: Workflow, batch: LiveBatch) -> Run:
    rows = client.runs(invoices.id, status="PAUSED", page_size=100)
    return next(row for row in rows if row.parent_run_id == batch.id)


def show_results(batch: LiveBatch) -> None:
    run = batch.refresh()
    told(f"The batch is {run.status}: {run.message}")
    with tempfile.TemporaryDirectory() as directory:
        lines = batch.download(Path(directory) / "output.jsonl").read_text().splitlines()
    booked = [json.loads(line)["output_node"] for line in lines]
    table = Table(show_edge=False, pad_edge=False)
    for name in ("invoice_id", "vendor", "amount", "currency", "approved_by"):
        table.add_column(name, justify="right" if name == "amount" else "left", no_wrap=True)
    largest = sorted(booked, key=lambda row: -row["amount"])[:8]
    for row in largest:
        table.add_row(
            row["invoice_id"], row["vendor"], f"{row['amount']:,.2f}", row["currency"], row["approved_by"]
        )
    console.print(table)
    console.print(f"… and {len(booked) - len(largest)} more of {len(booked)} rows, in row order.")


def has_model() -> bool:
    return any(os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE"))


def show_triage(client: Client, triage: Workflow) -> None:
    told("A ticket sorted by a language model")
    live = client.start(triage.id, inputs_of("ticket-triage"))
    seen = live.wait()
    console.print(looks.run_tree(seen))
    if seen.outputs and "output_node" in seen.outputs:
        console.print(looks.outputs({"output_node": seen.outputs["output_node"]}))


def show_addresses(client: Client, batch: LiveBatch) -> None:
    told("Look around")
    for what, path in (
        ("API, interactively", "/docs"),
        ("the batch", f"/run/{batch.id}/"),
        ("its output file", f"/of/{batch.run.output_file_id}/download/"),
        ("all runs", "/run/"),
    ):
        console.print(f"  {what:20} {client.base_url}{path}", markup=False)


if __name__ == "__main__":
    raise SystemExit(main())
