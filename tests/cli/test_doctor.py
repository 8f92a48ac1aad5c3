"""`rowel doctor`: what is in place, what isn't, and what to do about it."""

from __future__ import annotations

import socket
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rowel.cli.doctor import KEYS
from rowel.nodes.clients.llm import providers as model_providers
from rowel.nodes.clients.sandbox import PooledSandbox
from tests.support.commands import Commands, Ended
from tests.support.server import Server, free_port

if TYPE_CHECKING:
    from tests.support.buckets import Bucket

DATABASE = "rowel.db"


@pytest.fixture
def examined(rowel: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Calls the doctor on a directory; returns how it ended, and the findings by what was looked at."""
    for name in (*KEYS, "ROWEL_DATA", "ROWEL_PORT", "ROWEL_HOST", "ROWEL_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def examine(
        data: Path = tmp_path, port: int | None = None, **variables: str
    ) -> tuple[Ended, dict[str, dict[str, str]]]:
        words = ("--data", str(data), "--port", str(port or free_port()))
        ended = rowel("doctor", *words, "--json", **variables)
        return ended, {finding["check"]: finding for finding in ended.json}

    return examine


def test_a_fresh_place_has_no_problem(examined: Any) -> None:
    ended, findings = examined()

    assert ended.code == 0
    assert {finding["level"] for finding in findings.values()} <= {"ok", "warning"}
    assert findings["database"]["message"] == "none yet; it will be made at the first start"
    assert findings["sandbox monty"]["level"] == "ok"


def test_a_directory_that_is_not_there_yet_will_be_made(examined: Any, tmp_path: Path) -> None:
    _, findings = examined(tmp_path / "a" / "b")

    assert findings["data directory"]["level"] == "ok"
    assert "will be made at the first start" in findings["data directory"]["message"]
    assert not (tmp_path / "a").exists()


def test_a_directory_that_can_not_be_is_a_problem_with_a_remedy(examined: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended, findings = examined(tmp_path / "file" / "data")

    assert ended.code == 3
    assert findings["data directory"]["level"] == "problem"
    assert "ROWEL_DATA" in findings["data directory"]["remedy"]


def test_a_damaged_database_is_a_problem_and_left_as_it_is(examined: Any, tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"this is no database" * 100)

    ended, findings = examined()

    assert ended.code == 3
    assert findings["database"]["level"] == "problem"
    assert "Restore a backup" in findings["database"]["remedy"]
    assert (tmp_path / DATABASE).read_bytes() == b"this is no database" * 100


def test_a_database_elsewhere_that_does_not_answer_is_a_problem_and_its_password_never_shown(
    examined: Any,
) -> None:
    ended, findings = examined(
        ROWEL_DATABASE_URL=f"postgresql://rowel:very-secret@127.0.0.1:{free_port()}/rowel"
    )

    assert ended.code == 3
    assert findings["database"]["level"] == "problem"
    assert "ROWEL_DATABASE_URL" in findings["database"]["remedy"]
    assert "very-secret" not in ended.out + ended.err


@pytest.mark.parametrize("told", ["the kernel has no Landlock", "sandlock is not installed"])
def test_a_sandbox_that_does_not_work_is_a_warning_with_its_reason(
    examined: Any, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(PooledSandbox, "describe", lambda _: {"monty": "works", "cpython": told})

    ended, findings = examined()

    assert ended.code == 0
    assert (findings["sandbox cpython"]["level"], findings["sandbox cpython"]["message"]) == ("warning", told)
    assert "Python nodes that need it are refused" in findings["sandbox cpython"]["remedy"]


def test_a_server_that_runs_is_found_with_its_database(examined: Any, server: Server) -> None:
    ended, findings = examined(server.data, server.port)

    assert ended.code == 0
    assert findings["database"]["message"] == "opens and is whole"
    assert findings["port"]["message"] == f"a Rowel answers at {server.url}"


def test_a_port_that_something_else_has_is_a_problem(examined: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended, findings = examined(port=other.getsockname()[1])

    assert ended.code == 3
    assert findings["port"]["level"] == "problem"
    assert "ROWEL_PORT" in findings["port"]["remedy"]


def test_a_host_that_is_not_this_machine_is_a_problem(examined: Any) -> None:
    ended, findings = examined(ROWEL_HOST="192.0.2.1")

    assert ended.code == 3
    assert findings["port"]["level"] == "problem"


def test_keys_are_named_and_their_values_never_shown(examined: Any) -> None:
    ended, findings = examined(OPENAI_API_KEY="sk-very-secret", GROQ_API_KEY="gsk-very-secret")

    assert findings["provider keys"]["message"] == "set: OPENAI_API_KEY, GROQ_API_KEY"
    assert "very-secret" not in ended.out + ended.err


def test_without_keys_it_says_which_to_set(examined: Any) -> None:
    _, findings = examined()

    assert findings["provider keys"]["level"] == "warning"
    assert "OPENAI_API_KEY" in findings["provider keys"]["remedy"]


def test_every_providers_first_key_is_known() -> None:
    first = {provider.keys[0] for provider in model_providers._TABLE if provider.keys and provider.needs_key}

    assert first <= set(KEYS)


def test_for_people_each_finding_is_a_line_and_each_remedy_another(
    rowel: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROWEL_DATABASE_URL", raising=False)
    (tmp_path / DATABASE).write_bytes(b"this is no database" * 100)

    ended = rowel("doctor", "--data", str(tmp_path), "--port", str(free_port()))

    assert ended.code == 3
    lines = ended.out.splitlines()
    assert any(line.startswith("ok       data directory: ") for line in lines)
    assert any(line.startswith("ok       port: ") for line in lines)
    damaged = next(place for place, line in enumerate(lines) if line.startswith("problem  database: "))
    assert lines[damaged + 1].startswith("         → Restore a backup")


def test_a_bucket_is_tried_and_left_as_it_was(examined: Any, bucket: Bucket) -> None:
    ended, findings = examined(ROWEL_FILES_URL=bucket.url)

    assert ended.code == 0
    assert findings["files"]["level"] == "ok"
    assert bucket.files() == []


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (0, "does not let Rowel in"),
        (2, "can't be read"),
        (3, "can't be read"),
        (4, "can't be deleted"),
        (5, "the right to list"),
    ],
)
def test_a_bucket_that_refuses_something_is_a_problem_with_a_remedy(
    examined: Any, bucket: Bucket, refused: int, sentence: str
) -> None:
    requests = count()
    bucket.server.trouble = lambda *_: 403 if next(requests) == refused else None

    ended, findings = examined(ROWEL_FILES_URL=bucket.url)

    assert ended.code == 3
    assert sentence in findings["files"]["message"]
    assert "AWS_ENDPOINT_URL" in findings["files"]["remedy"]
    assert "secret" not in ended.out


def test_without_a_bucket_none_is_looked_at(examined: Any) -> None:
    assert "files" not in examined()[1]


def test_a_setting_that_can_not_be_ends_with_2(rowel: Commands) -> None:
    ended = rowel("doctor", ROWEL_PORT="many")

    assert ended.code == 2
    assert "ROWEL_PORT is 'many'" in ended.err
