"""`rowel serve`: what keeps it from beginning. How it serves is tested in the journeys."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.commands import Commands
from tests.support.server import Server


@pytest.mark.parametrize(
    "words", [("--port", "many"), ("--port", "65536"), ("--host", "no host"), ("--data", "README.md")]
)
def test_a_setting_that_can_not_be_ends_with_2(rowel: Commands, words: tuple[str, str]) -> None:
    ended = rowel("serve", *words)

    assert (ended.code, ended.out) == (2, "")


def test_as_a_process_it_says_in_one_sentence_which_setting_is_wrong(rowel: Commands, tmp_path: Path) -> None:
    process = rowel.start("serve", "--data", str(tmp_path), ROWEL_PORT="many")
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 2
    assert out.startswith("rowel: ROWEL_PORT is 'many'")
    assert "Traceback" not in out
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_ends_with_3(rowel: Commands, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        process = rowel.start("serve", "--port", port, "--data", str(tmp_path))
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 3
    assert f"can't listen on 127.0.0.1:{port}" in out
    assert "ROWEL_PORT" in out


def test_a_second_server_on_a_directory_ends_with_3_and_names_the_first(
    rowel: Commands, server: Server
) -> None:
    process = rowel.start("serve", "--port", "0", "--data", str(server.data))
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 3
    assert server.url in out
