"""`rowel prune`: how an age is said, and what is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
import typer

from rowel import Client
from rowel.cli.retention import read_age
from tests.support.commands import Commands
from tests.support.workflows import HALVES


@pytest.fixture
def run_id(client: Client) -> str:
    workflow = client.workflows.create("halves", HALVES)
    return client.start(workflow.id, {"input_node": {"n": 4}}).wait().id


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("1.5h", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
        ("8w", timedelta(weeks=8)),
        ("0d", timedelta(0)),
    ],
)
def test_an_age_is_a_number_with_a_unit(text: str, age: timedelta) -> None:
    assert read_age(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "30 d", "-1d", "1y", "30D", "999999999w", "1e3d", "٣d"])
def test_what_is_no_age_ends_with_2(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        read_age(text)
    assert ended.value.exit_code == 2
    assert "a number with s, m, h, d or w, such as 30d" in capsys.readouterr().err


def test_old_runs_go_and_are_counted(rowel: Commands, client: Client, run_id: str) -> None:
    asked = rowel("prune", "--older-than", "0s", "--dry-run")
    assert (asked.code, asked.out.startswith("Would remove ")) == (0, True)
    assert client.get_run(run_id).id == run_id

    told = rowel("prune", "--older-than", "0s")
    assert told.code == 0
    assert " runs with " in told.out
    assert told.out.startswith("Removed ")
    assert rowel("show", run_id).code == 4


def test_young_runs_stay(rowel: Commands, client: Client, run_id: str) -> None:
    told = rowel("prune", "--older-than", "30d", "--json")
    assert told.json["runs"] == 0
    assert client.get_run(run_id).id == run_id


def test_an_age_must_be_said(rowel: Commands) -> None:
    ended = rowel("prune")
    assert ended.code == 2
    assert "--older-than" in ended.err
