"""The processes of a drill: they come up, are struck down, and say why they don't come back."""

from __future__ import annotations

import socket
from pathlib import Path
from random import Random

import pytest

from rowel.cli.drill.fleet import Fleet, Unfit, free_port
from rowel.cli.drill.history import Blow
from tests.support.processes import descendants


def test_a_server_is_killed_and_asked_to_end_and_comes_back_each_time(tmp_path: Path) -> None:
    with Fleet(tmp_path, http_allow="127.0.0.1:1") as fleet:
        fleet.start()
        killed = fleet.strike(Blow.KILL, Random(1), waits=True)
        ended = fleet.strike(Blow.TERMINATE, Random(1), waits=False)
        fleet.await_ready()
        assert descendants()
    assert (killed.code, ended.code) == (-9, 0)
    assert killed.ready is not None
    assert killed.begun <= killed.ended <= killed.ready
    assert ended.ready is None
    assert descendants() == set()


def test_a_server_that_does_not_come_up_is_told_with_what_it_said(tmp_path: Path) -> None:
    settings = {"ROWEL_SLOTS": "many"}
    with Fleet(tmp_path, http_allow="127.0.0.1:1", settings=settings) as fleet:
        with pytest.raises(Unfit, match="ended by itself with code 2") as raised:
            fleet.start()
        assert "ROWEL_SLOTS is 'many'" in str(raised.value)


def test_what_is_set_outside_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWEL_SLOTS", "many")
    with Fleet(tmp_path, http_allow="127.0.0.1:1") as fleet:
        fleet.start()
    assert (tmp_path / "data" / "rowel.db").exists()


def test_a_free_port_can_be_listened_at_and_is_none_that_connections_get() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert port < lowest
