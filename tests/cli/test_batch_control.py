"""`rowel batch-status`, `batch-change`, `redrive`, and decisions for many rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from rowel import Client
from rowel.cli.wishes import read_columns, read_rows, read_threshold
from tests.support.commands import Commands
from tests.support.workflows import ASKS, HALVES


@pytest.fixture
def halves(client: Client) -> str:
    return client.workflows.create("halves", HALVES).id


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Ten rows, of which two fail."""
    file = tmp_path / "rows.csv"
    file.write_text("number\n" + "\n".join(str(n % 5) for n in range(10)) + "\n")
    return file


@pytest.fixture
def asking(client: Client, tmp_path: Path) -> str:
    """A batch of four rows that wait for a person."""
    file = tmp_path / "asking.csv"
    file.write_text("amount\n1\n2\n3\n4\n")
    live = client.batch(client.workflows.create("asks", ASKS).id, file)
    live.wait()
    return live.id


def ended(rowel: Commands, halves: str, rows: Path, *words: str) -> Any:
    return rowel("batch", halves, str(rows), "--map", "n=number", "--json", *words).json


def test_a_batch_shows_how_it_stands_and_why_rows_failed(rowel: Commands, halves: str, rows: Path) -> None:
    batch = ended(rowel, halves, rows, "--fail-after", "50%", "--fail-after", "9", "--judge-after", "5")

    shown = rowel("batch-status", batch["id"])

    assert shown.code == 0
    assert "✓ COMPLETED batch" in shown.out
    assert "10 of 10 rows have ended" in shown.out
    assert "10 in flight at most, 9 rows and 50 % of 5 or more may fail" in shown.out
    (line,) = [line for line in shown.out.splitlines() if "Node 'work' failed" in line]
    assert line.split()[0] == "2"
    told = rowel("batch-status", batch["id"], "--json").json
    assert (told["completed"], told["failed"], told["causes"][0]["count"]) == (8, 2, 2)


def test_what_is_no_batch_ends_with_4(rowel: Commands, halves: str) -> None:
    run = rowel("run", halves, "-i", "n=4", "--json").json

    shown = rowel("batch-status", run["id"])

    assert (shown.code, "is no batch" in shown.err) == (4, True)


def test_a_canary_is_tried_then_approved(rowel: Commands, halves: str, rows: Path) -> None:
    tried = rowel("batch", halves, str(rows), "--map", "n=number", "--canary", "3")
    assert tried.code == 5
    assert "Its first rows have been tried. Run the others: rowel approve" in tried.out
    batch = tried.out.partition("Batch ")[2].split()[0]

    approved = rowel("approve", batch)

    assert approved.code == 0
    assert "The rest of the batch was approved" in approved.out
    assert rowel("show", batch, "--follow").code == 0


def test_a_batch_past_its_threshold_ends_with_1_and_says_what_to_do(
    rowel: Commands, halves: str, rows: Path
) -> None:
    failed = rowel("batch", halves, str(rows), "--map", "n=number", "-n", "1", "--fail-after", "0")

    assert failed.code == 1
    assert "more than 0 rows failed (1 of 1)" in failed.out
    assert "rowel batch-status" in failed.out
    assert "--unfinished" in failed.out


def test_an_open_batch_can_be_changed(rowel: Commands, asking: str) -> None:
    changed = rowel("batch-change", asking, "-n", "3", "--fail-after", "2%", "--json").json
    lifted = rowel("batch-change", asking, "--no-threshold")

    assert (changed["mini_batch_size"], changed["failure_threshold"]["percent"]) == (3, 2.0)
    assert lifted.code == 0
    assert "3 in flight at most\n" in lifted.out
    rowel("cancel", asking)
    assert rowel("batch-change", asking, "-n", "4").code == 4


@pytest.mark.parametrize(
    "words", [[], ["--no-threshold", "--fail-after", "3"], ["--fail-after", "many"], ["--judge-after", "3"]]
)
def test_a_change_of_nothing_ends_with_2(rowel: Commands, words: list[str]) -> None:
    assert rowel("batch-change", "any", *words).code == 2


def test_failed_rows_run_again_and_all_rows_are_fetched(
    rowel: Commands, client: Client, halves: str, rows: Path, tmp_path: Path
) -> None:
    batch = ended(rowel, halves, rows)
    (cause,) = client.batches.get(batch["id"]).causes
    node, _, link = HALVES["nodes"][0], None, HALVES["links"]
    fixed = {"id": "work", "node_type": "StaticValueNode", "config": {"values": {"half": 0}}}
    client.workflows.update(halves, "halves", {"nodes": [node, fixed], "links": link})

    again = rowel("redrive", batch["id"], "--cause", cause.signature, "--version", "latest")

    assert again.code == 0
    assert f"runs rows of batch {batch['id']} again." in again.out
    assert "2 of 2 rows completed." in again.out
    new = again.out.partition("Batch ")[2].split()[0]
    target = tmp_path / "all.jsonl"
    rowel("download", new, str(target))
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["work"]["half"] for line in lines] == [0, 0.5, 1.0, 1.5, 2.0] * 2
    assert client.get_run(new).redrive_of == batch["id"]


def test_rows_to_run_again_are_named_in_one_way(rowel: Commands, halves: str, rows: Path) -> None:
    batch = ended(rowel, halves, rows)

    named = rowel("redrive", batch["id"], "--rows", "1,3-4", "--no-follow", "--json")
    assert (named.code, named.json["redrive_of"]) == (0, batch["id"])
    assert rowel("redrive", batch["id"], "--rows", "10").code == 4
    assert rowel("redrive", batch["id"], "--failed", "--rows", "1").code == 2
    assert rowel("redrive", batch["id"], "--version", "newest").code == 2
    assert rowel("redrive", batch["id"], "--rows", "4-1").code == 2
    finished = rowel("redrive", named.json["id"], "--unfinished")
    assert (finished.code, "is COMPLETED" in finished.err) == (4, True)


def test_rows_that_wait_are_decided_together(rowel: Commands, asking: str) -> None:
    words = ("--node-id", "ask", "--rows", "0-2", "--except", "1", "-i", "ok=true", "--idempotency-key", "k")
    some, same = (rowel("approve", asking, *words) for _ in range(2))
    again = rowel("approve", asking, "--node-id", "ask", "--rows", "0,3", "-i", "ok=true")
    none = rowel("approve", asking, "--node-id", "ask", "--rows", "0")
    others = rowel("decline", asking, "--node-id", "ask", "--rows", "all", "--json")

    assert (some.code, some.out) == (same.code, same.out) == (0, "2 rows were decided.\n")
    assert again.code == 0
    assert "1 rows were decided, 1 were not:" in again.out
    assert "Row 0 is" in again.out
    assert none.code == 4
    assert (others.json["decided"], others.json["refused"]) == (1, 0)
    assert rowel("approve", asking, "--rows", "all").code == 2


@pytest.mark.parametrize(
    ("given", "after", "found"),
    [
        (None, None, None),
        (["20"], None, {"count": 20}),
        (["5%"], None, {"percent": 5.0}),
        (["0.5%", "3"], 100, {"percent": 0.5, "count": 3, "after": 100}),
    ],
)
def test_a_threshold_is_a_number_or_a_share(given: Any, after: Any, found: Any) -> None:
    assert read_threshold(given, after) == found


@pytest.mark.parametrize("given", ["", "%", "5 %", "-1", "1.5", "5%%", "１", "1e3"])
def test_what_is_no_threshold_is_refused(given: str) -> None:
    with pytest.raises(typer.Exit):
        read_threshold([given], None)


def test_rows_are_numbers_and_ranges() -> None:
    assert read_rows("3, 7-9,0", "--rows") == [3, 7, 8, 9, 0]


@pytest.mark.parametrize("given", ["", ",", "1,", "a", "-1", "2-1", "1-", "0-99999999"])
def test_what_names_no_rows_is_refused(given: str) -> None:
    with pytest.raises(typer.Exit):
        read_rows(given, "--rows")


def test_columns_are_pairs() -> None:
    assert read_columns(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}
    assert read_columns([]) is None


@pytest.mark.parametrize("given", ["a", "a=", "=b", ""])
def test_what_is_no_pair_is_refused(given: str) -> None:
    with pytest.raises(typer.Exit):
        read_columns([given])
