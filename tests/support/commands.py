"""The `rowel` command: called in this process, or started as one of its own, with or without a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from rowel.cli.main import app

#: Colors, and moves of the cursor.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

#: Wide enough for no line to be folded.
WIDE = "200"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Commands:
    """Calls `rowel` against one server."""

    url: str

    def __call__(self, *words: str, **variables: str) -> Ended:
        """Run a command to its end. An error that is not told plainly fails the test."""
        result = CliRunner().invoke(app, list(words), env={"ROWEL_URL": self.url, **variables})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command as a process whose output is read by the test."""
        return subprocess.Popen(
            _program(words),
            env={**self._environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def in_terminal(self, *words: str) -> Ended:
        """Run a command in a terminal; the text that it draws, one picture after another, is in `out`."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            _program(words), env=self._environment(), stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            drawn = b"".join(iter(lambda: _read(ours), b""))
            code = process.wait()
        os.close(ours)
        return Ended(code, CONTROL.sub("", drawn.decode(errors="replace")), "")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "ROWEL_URL": self.url,
            "TERM": "xterm",
            "COLUMNS": WIDE,
        }


def interrupt(process: subprocess.Popen[str]) -> Ended:
    """Press Ctrl-C and wait for the end."""
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    return Ended(process.returncode, out, "")


def _program(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "rowel", *words]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so when the other end is closed
        return b""
