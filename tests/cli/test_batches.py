"""`rowel batch` and `rowel download`: rows in, progress, rows out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rowel import Client
from rowel.client import Status
from tests.support.commands import Commands, interrupt
from tests.support.providers import Providers
from tests.support.workflows import ASKS, HALVES, waits


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """20 rows, of which 4 fail."""
    file = tmp_path / "rows.csv"
    file.write_text("n\n" + "\n".join(str(n % 5) for n in range(20)) + "\n")
    return file


@pytest.fixture
def halves(client: Client) -> str:
    return client.workflows.create("halves", HALVES).id


@pytest.fixture
def patient(client: Client, slow: str) -> str:
    """A workflow whose rows wait until they are released."""
    return client.workflows.create("waits", waits(slow)).id


def batch_id(out: str) -> str:
    found = re.search(r"[Bb]atch ([0-9a-f-]{36})", out)
    assert found is not None, out
    return found[1]


def test_a_batch_runs_to_its_end_and_counts_its_rows(rowel: Commands, halves: str, rows: Path) -> None:
    ended = rowel("batch", halves, str(rows))

    assert ended.code == 0
    assert "\n20/20 rows: 16 completed, 4 failed\n" in ended.out
    assert "✓ COMPLETED batch" in ended.out
    assert "16 of 20 rows completed, 4 failed." in ended.out
    assert f"rowel download {batch_id(ended.out)}" in ended.out


def test_the_rows_are_fetched_in_order(rowel: Commands, halves: str, rows: Path, tmp_path: Path) -> None:
    run = rowel("batch", halves, str(rows), "--json").json
    target = tmp_path / "out.jsonl"

    ended = rowel("download", run["id"], str(target))

    assert ended.code == 0
    assert str(target) in ended.out
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert len(lines) == 20
    assert [line.get("row_index") for line in lines][:6] == [0, None, None, None, None, 5]
    assert lines[4]["work"] == {"half": 2.0}


def test_a_file_without_a_given_place_gets_its_own_name(
    rowel: Commands, halves: str, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rowel("batch", halves, str(rows), "--json").json
    monkeypatch.chdir(tmp_path)

    name = rowel("download", run["id"], "--json").json["file"]

    assert name.endswith(".jsonl")
    assert len((tmp_path / name).read_text().splitlines()) == 20


def test_a_file_name_says_that_a_table_is_wanted(
    rowel: Commands, halves: str, rows: Path, tmp_path: Path
) -> None:
    run = rowel("batch", halves, str(rows), "--json").json
    named, asked = tmp_path / "out.csv", tmp_path / "out"

    assert rowel("download", run["id"], str(named)).code == 0
    assert rowel("download", run["id"], str(asked), "--format", "parquet").code == 0

    assert len(named.read_text().splitlines()) == 1 + 20
    assert asked.read_bytes()[:4] == b"PAR1"


def test_a_place_that_can_not_be_written_ends_with_2(
    rowel: Commands, halves: str, rows: Path, tmp_path: Path
) -> None:
    run = rowel("batch", halves, str(rows), "--json").json

    ended = rowel("download", run["id"], str(tmp_path / "missing" / "out.jsonl"))

    assert ended.code == 2
    assert "can't be written: No such file or directory" in ended.err


def test_a_run_that_is_no_batch_has_nothing_to_download(rowel: Commands, halves: str) -> None:
    run = rowel("run", halves, "-i", "n=4", "--json").json

    ended = rowel("download", run["id"])

    assert ended.code == 4
    assert "is no batch" in ended.err


def test_a_dataset_on_the_server_is_named_by_its_id(
    rowel: Commands, client: Client, halves: str, rows: Path
) -> None:
    dataset = client.datasets.create("numbers", rows)

    assert rowel("batch", halves, dataset.id, "--json").json["input_dataset_id"] == dataset.id


def test_a_file_that_is_not_there_ends_with_2_before_anything_starts(
    rowel: Commands, client: Client, halves: str, tmp_path: Path
) -> None:
    ended = rowel("batch", halves, str(tmp_path / "missing.csv"))

    assert ended.code == 2
    assert "there is no file" in ended.err
    assert client.runs(halves) == []


def test_rows_that_lack_a_column_are_refused(rowel: Commands, halves: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("m\n1\n")

    ended = rowel("batch", halves, str(file))

    assert ended.code == 4
    assert "n" in ended.err


@pytest.mark.parametrize("size", ["0", "10001", "many"])
def test_a_number_of_rows_in_flight_that_can_not_be_ends_with_2(
    rowel: Commands, halves: str, rows: Path, size: str
) -> None:
    assert rowel("batch", halves, str(rows), "-n", size).code == 2


def test_a_batch_need_not_be_followed(
    rowel: Commands, client: Client, patient: str, rows: Path, world: Providers
) -> None:
    ended = rowel("batch", patient, str(rows), "--no-follow")

    assert ended.code == 0
    run_id = batch_id(ended.out)
    assert f"rowel show {run_id} --url {rowel.url} --follow" in ended.out
    world.released.set()
    assert client.attach(run_id).wait().status is Status.COMPLETED


def test_a_batch_with_rows_that_wait_for_a_person_ends_with_5(
    rowel: Commands, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("amount\n1\n2\n")
    workflow = client.workflows.create("asks", ASKS)

    ended = rowel("batch", workflow.id, str(file))

    assert ended.code == 5
    assert "⏸ PAUSED batch" in ended.out
    assert "0/2 rows: 2 waiting for a person" in ended.out
    assert "rowel runs --status PAUSED" in ended.out
    again = rowel("batch", workflow.id, str(file), "--json")
    assert (again.code, again.json["status"]) == (5, "PAUSED")


def test_ctrl_c_leaves_the_batch_running_and_says_how_to_come_back(
    rowel: Commands, client: Client, patient: str, rows: Path, world: Providers
) -> None:
    process = rowel.start("batch", patient, str(rows))
    assert process.stdout is not None
    assert world.received.wait(30)
    run_id = batch_id(process.stdout.readline())

    ended = interrupt(process)

    assert ended.code == 5
    assert f"The batch goes on. Come back: rowel show {run_id} --url {rowel.url} --follow" in ended.out
    assert client.get_run(run_id).status is Status.RUNNING
    world.released.set()
    assert rowel("show", run_id, "--follow").code == 0


def test_in_a_terminal_a_bar_shows_rows_and_counts(rowel: Commands, halves: str, rows: Path) -> None:
    ended = rowel.in_terminal("batch", halves, str(rows), "-n", "2")

    assert ended.code == 0
    assert "20/20" in ended.out
    assert "16 completed, 4 failed" in ended.out
    assert "ETA" in ended.out


def test_a_batch_with_a_key_is_started_once_and_names_its_dataset(
    rowel: Commands, client: Client, tmp_path: Path
) -> None:
    workflow = client.workflows.create("halves", HALVES)
    file = tmp_path / "rows.csv"
    file.write_text("n\n1\n2\n")
    dataset = client.datasets.create("rows", file)
    words = ("batch", workflow.id, dataset.id, "--idempotency-key", "k", "--json")

    assert rowel(*words).json["id"] == rowel(*words).json["id"]
    ended = rowel("batch", workflow.id, str(file), "--idempotency-key", "k")
    assert (ended.code, "by its id" in ended.err) == (2, True)
