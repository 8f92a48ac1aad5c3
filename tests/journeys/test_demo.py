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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.providers import Providers, Reply
from tests.support.source import ROOT

DEMO = [sys.executable, str(ROOT / "scripts" / "demo.py")]
#: Seconds that a whole demo may take on a slow machine.
PATIENCE_S = 120.0
Done = subprocess.CompletedProcess[str]
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


def without_a_terminal(directory: Path, **more: str) -> Done:
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demos below keep their data."""
    return tmp_path_factory.mktemp("demos")


@dataclass(frozen=True)
class Demos:
    """Three demos that ran side by side, since each spends much of its time waiting."""

    shown: Done
    #: Its model sorted the ticket; these are the models that it was asked for.
    sorted: Done
    models: list[str]
    #: Its usual port was taken and its model refused the key.
    in_trouble: Done


@pytest.fixture(scope="module")
def demos(place: Path) -> Demos:
    answer = {"category": "billing", "urgent": True, "summary": "Charged twice.", "reply": "Sorry."}
    refusal = Reply(status=401, json={"error": {"message": "wrong key"}})
    with Providers() as kind, Providers() as unkind, socket.socket() as other, ThreadPoolExecutor() as pool:
        with suppress(OSError):  # then somebody else holds the port, which is as good
            other.bind(("127.0.0.1", 6080))
            other.listen()
        kind.answer(answer)
        unkind.answer(refusal)
        asking = {"OPENAI_BASE_URL": f"{kind.url}/v1", "OPENAI_MODEL": "a-model-of-our-own"}
        refused = {"OPENAI_API_BASE": f"{unkind.url}/v1", "OPENAI_API_KEY": "sk-wrong"}
        running = [pool.submit(without_a_terminal, place, **more) for more in ({}, asking, refused)]
        shown, sorted_, in_trouble = (demo.result() for demo in running)
        return Demos(shown, sorted_, [call.model for call in kind.asked], in_trouble)


@pytest.fixture(scope="module")
def shown(demos: Demos) -> Done:
    return demos.shown


@pytest.fixture(scope="module")
def in_trouble(demos: Demos) -> Done:
    return demos.in_trouble


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


def left_in(directory: Path) -> list[str]:
    """The processes whose temporary files go there: the demo, its server, and what that started."""
    mark = f"TMPDIR={directory}".encode()
    return [entry.name for entry in Path("/proc").iterdir() if mark in _environment_of(entry)]


def _environment_of(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # no process, or one that has ended
        return []


def data_directory(told: str) -> str:
    found = re.search(r"data +(\S+/rowel-demo-\S+) ", told)
    assert found is not None, told
    return found[1]


def test_without_a_terminal_it_shows_everything_and_ends(shown: Done) -> None:
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "99/100 rows: 99 completed, 1 waiting for a person" in shown.stdout
    assert "Node 'ask_finance' was approved by ann" in shown.stdout
    assert "COMPLETED: 100 of 100 rows completed." in shown.stdout
    assert "100 rows in the output file" in shown.stdout
    assert re.search(r"2026-0073 .*Lumen Energy .*48,750\.00 .*USD .*Ann", shown.stdout)
    assert re.search(r"serves at +http://127\.0\.0\.1:\d+", shown.stdout)
    assert "Serving until" not in shown.stdout
    assert "\x1b" not in shown.stdout


def test_it_leaves_no_process_behind(place: Path, shown: Done) -> None:
    assert shown.returncode == 0, shown.stderr
    assert left_in(place) == []
    assert not any(is_served(url) for url in URL.findall(shown.stdout))


def test_every_demo_has_a_data_directory_of_its_own_and_says_which(place: Path, demos: Demos) -> None:
    told = {data_directory(demo.stdout) for demo in (demos.shown, demos.sorted, demos.in_trouble)}
    assert {str(path) for path in place.glob("rowel-demo-*")} == told
    assert len(told) == 3
    assert all(Path(directory, "rowel.db").is_file() for directory in told)


def test_with_a_terminal_it_draws_a_bar_and_serves_until_ctrl_c(terminal: Terminal, tmp_path: Path) -> None:
    terminal.read_until("Serving until Ctrl-C.")
    assert "━" in terminal.text
    assert "99/100" in terminal.text
    urls = URL.findall(terminal.text)
    assert len(urls) >= 5
    assert all(is_served(url) for url in urls if not url.endswith(tuple("0123456789")))
    assert len(left_in(tmp_path)) >= 2, "a demo and its server"
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.ends() == 0
    assert left_in(tmp_path) == []
    assert not any(is_served(url) for url in urls)
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_in_the_middle_it_leaves_nothing_behind(
    terminal: Terminal, tmp_path: Path, number: signal.Signals
) -> None:
    terminal.read_until("example workflows are imported")
    (url, *_) = URL.findall(terminal.text)
    terminal.process.send_signal(number)
    assert terminal.ends() == 130
    assert left_in(tmp_path) == []
    assert not is_served(f"{url}/health/live")
    assert "Traceback" not in terminal.text


def test_where_the_usual_port_is_taken_it_takes_a_free_one_and_says_so(
    in_trouble: Done,
) -> None:
    assert in_trouble.returncode == 0, in_trouble.stderr
    assert "(port 6080 is taken)" in in_trouble.stdout
    assert not [url for url in URL.findall(in_trouble.stdout) if ":6080" in url]


def test_with_a_model_at_hand_it_has_a_ticket_sorted(demos: Demos) -> None:
    assert demos.sorted.returncode == 0, demos.sorted.stderr
    assert re.search(r"queue +on-call", demos.sorted.stdout)
    assert demos.models == ["a-model-of-our-own"]


def test_a_model_that_refuses_is_told_and_keeps_nothing_else_from_being_shown(
    in_trouble: Done,
) -> None:
    assert in_trouble.returncode == 0, in_trouble.stderr
    assert "FAILED" in in_trouble.stdout
    assert "check OPENAI_API_KEY" in in_trouble.stdout
    assert "sk-wrong" not in in_trouble.stdout + in_trouble.stderr
    assert "Look around" in in_trouble.stdout
