"""`rowel import` and `rowel workflows`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rowel import Client
from tests.support.commands import Commands
from tests.support.workflows import ASKS, HALVES


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return written(tmp_path / "export.json", {"name": "a triage", "description": "d", "definition": HALVES})


def written(file: Path, value: Any) -> Path:
    file.write_text(json.dumps(value))
    return file


def test_an_export_comes_in_with_its_name_and_description(
    rowel: Commands, client: Client, exported: Path
) -> None:
    ended = rowel("import", str(exported))

    assert ended.code == 0
    workflow_id, name = ended.out.strip().split("  ")
    assert name == "a triage"
    assert client.workflows.get(workflow_id).description == "d"


def test_a_bare_definition_is_named_after_its_file(rowel: Commands, tmp_path: Path) -> None:
    made = rowel("import", str(written(tmp_path / "my flow.json", ASKS)), "--json").json

    assert [workflow["name"] for workflow in made] == ["my flow"]


def test_several_files_come_in_at_once(rowel: Commands, exported: Path, tmp_path: Path) -> None:
    made = rowel("import", str(exported), str(written(tmp_path / "b.json", ASKS)), "--json").json

    assert [workflow["name"] for workflow in made] == ["a triage", "b"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is not JSON"),
        (b"", "is not JSON"),
        (b"[1]", "must hold a JSON object"),
        (b'{"nodes": NaN}', "NaN is no value of JSON"),
        (b"[" * 5_000, "nested too deeply"),
        (b"\x89PNG\r\n\x1a\n", "can't be read"),
    ],
)
def test_nothing_comes_in_where_one_file_is_wrong(
    rowel: Commands, client: Client, exported: Path, tmp_path: Path, content: bytes, told: str
) -> None:
    before = len(list(client.workflows.every()))
    (tmp_path / "wrong.json").write_bytes(content)

    ended = rowel("import", str(exported), str(tmp_path / "wrong.json"))

    assert (ended.code, ended.out) == (2, "")
    assert f"{tmp_path / 'wrong.json'} " in ended.err
    assert told in ended.err
    assert len(list(client.workflows.every())) == before


def test_a_file_may_begin_with_a_byte_order_mark(rowel: Commands, tmp_path: Path) -> None:
    (tmp_path / "marked.json").write_text(json.dumps(HALVES), encoding="utf-8-sig")

    assert rowel("import", str(tmp_path / "marked.json")).code == 0


def test_a_file_that_is_not_there_ends_with_2(rowel: Commands, tmp_path: Path) -> None:
    assert rowel("import", str(tmp_path / "missing.json")).code == 2


def test_every_problem_of_a_definition_is_told(rowel: Commands, tmp_path: Path) -> None:
    nodes = [{"id": "a", "node_type": "Nope"}, {"id": "b", "node_type": "Nor this"}]

    ended = rowel("import", str(written(tmp_path / "bad.json", {"nodes": nodes, "links": []})))

    assert ended.code == 4
    assert "no node type 'Nope'" in ended.err
    assert "no node type 'Nor this'" in ended.err
    assert "there is no input node" in ended.err


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_the_file_that_is_refused_is_named_and_those_before_it_are_in(
    rowel: Commands, client: Client, exported: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    bad = written(tmp_path / "bad.json", {"name": "bad", "definition": 3})

    ended = rowel("import", str(exported), str(bad), *words)

    assert ended.code == 4
    assert f"{bad} was not imported" in ended.err
    made = [found["id"] for found in ended.json] if words else [ended.out.split()[0]]
    assert made == [client.workflows.list(page_size=1)[0].id]


def test_workflows_are_listed_newest_first(rowel: Commands, client: Client) -> None:
    older, newer = (client.workflows.create(name, HALVES) for name in ("older [one]", "newer"))

    lines = rowel("workflows").out.splitlines()

    assert [line.split()[0] for line in lines[2:4]] == [newer.id, older.id]
    assert "older [one]" in lines[3]
    assert [found["id"] for found in rowel("workflows", "--limit", "1", "--json").json] == [newer.id]
