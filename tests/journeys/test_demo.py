"""The demo, run as people run it: with a terminal and without one."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.processes import descendants
from tests.support.providers import Providers, Reply
from tests.support.source import ROOT

DEMO = [sys.executable, str(ROOT / "scripts" / "demo.py")]
#: Seconds that a whole demo may take on a slow machine.
PATIENCE_S = 120.0
URL = re.compile(r"http://127\.0\.0\.1:\d+[\w/.-]*")


def environment(directory: Path, **more: str) -> dict[str, str]:
    """What the demo is given: no keys, and a place of this test's own for its data."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TMPDIR": str(directory),
        "TERM": "xterm",
        **more,
    }


def without_a_terminal(directory: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        DEMO,
        env=environment(directory, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Terminal:
    """A demo in a terminal, and what can be read there."""

    def __init__(self, directory: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            DEMO,
            env=environment(directory),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def read_until(self, words: str) -> None:
        """Read until these words are there. Fails the test if they never come."""
        end = time.monotonic() + PATIENCE_S
        while words not in self.text:
            assert time.monotonic() < end, self.text
            if select.select([self._ours], [], [], 1.0)[0]:
                self.text += self._read()
            else:
                assert self.process.poll() is None, self.text

    def ends(self) -> int:
        """The exit code, once it has ended."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            if select.select([self._ours], [], [], 0.1)[0]:
                self.text += self._read()
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self) -> str:
        try:
            return os.read(self._ours, 65_536).decode(errors="replace")
        except OSError:  # how Linux says that the other end is closed
            return ""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


def is_served(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def test_without_a_terminal_it_shows_everything_and_stops_what_it_started(tmp_path: Path) -> None:
    done = without_a_terminal(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "99/100 rows: 99 completed, 1 waiting for a person" in done.stdout
    assert "Node 'ask_finance' was approved by ann" in done.stdout
    assert "COMPLETED: 100 of 100 rows completed." in done.stdout
    assert re.search(r"2026-0073 .*Lumen Energy .*48,750\.00 .*USD .*Ann", done.stdout)
    assert "Serving until" not in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(is_served(url) for url in URL.findall(done.stdout))


def test_every_demo_has_a_data_directory_of_its_own_and_says_which(tmp_path: Path) -> None:
    told = [without_a_terminal(tmp_path).stdout for _ in range(2)]
    directories = [re.search(r"data +(\S+/rowel-demo-\S+) ", text) for text in told]
    assert all(directories)
    assert len({found[1] for found in directories if found}) == 2
    assert all(Path(found[1], "rowel.db").is_file() for found in directories if found)


def test_with_a_terminal_it_draws_a_bar_and_serves_until_ctrl_c(terminal: Terminal) -> None:
    terminal.read_until("Serving until Ctrl-C.")
    assert "━" in terminal.text
    assert "99/100" in terminal.text
    urls = URL.findall(terminal.text)
    assert len(urls) >= 5
    assert all(is_served(url) for url in urls if not url.endswith(tuple("0123456789")))
    server = descendants(terminal.process.pid)
    assert server
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ends() == 0
    assert not any(is_served(url) for url in urls)
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_in_the_middle_it_leaves_nothing_behind(
    terminal: Terminal, number: signal.Signals
) -> None:
    terminal.read_until("example workflows are imported")
    (url, *_) = URL.findall(terminal.text)
    terminal.process.send_signal(number)
    assert terminal.ends() == 130
    assert not is_served(f"{url}/health/live")
    assert "Traceback" not in terminal.text


def test_where_the_usual_port_is_taken_it_takes_a_free_one_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", 6080))
            other.listen()
        except OSError:
            pass  # then somebody else holds it, which is as good
        done = without_a_terminal(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(port 6080 is taken)" in done.stdout
    assert not [url for url in URL.findall(done.stdout) if ":6080" in url]


def test_with_a_model_at_hand_it_has_a_ticket_sorted(tmp_path: Path) -> None:
    with Providers() as world:
        world.answer({"category": "billing", "urgent": True, "summary": "Charged twice.", "reply": "Sorry."})
        done = without_a_terminal(
            tmp_path, OPENAI_BASE_URL=f"{world.url}/v1", OPENAI_MODEL="a-model-of-our-own"
        )
    assert done.returncode == 0, done.stderr
    assert re.search(r"queue +on-call", done.stdout)
    assert [call.model for call in world.asked] == ["a-model-of-our-own"]


def test_a_model_that_refuses_is_told_and_keeps_nothing_else_from_being_shown(tmp_path: Path) -> None:
    with Providers() as world:
        world.answer(Reply(status=401, json={"error": {"message": "wrong key"}}))
        done = without_a_terminal(tmp_path, OPENAI_API_KEY="sk-wrong", OPENAI_API_BASE=f"{world.url}/v1")
    assert done.returncode == 0, done.stderr
    assert "FAILED" in done.stdout
    assert "sk-wrong" not in done.stdout
    assert "Look around" in done.stdout
