"""Processes at work for a case: drivers that speak JSON lines, and servers. Whoever waits its turn is stopped."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.readings import NotDone

DRIVERS = Path(__file__).parent / "drivers"
ROOT = Path(__file__).parent.parent
#: Seconds within which a driver has to answer.
PATIENCE_S = 300.0


def environment(**more: str) -> dict[str, str]:
    """The variables of a process of the bench: ours, no settings of Rowel's that happen to be set, and `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROWEL_", "PYTHON"))}
    return {**kept, **more}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Process:
    """One process in a session of its own, killed with its descendants at the end of the block."""

    def __init__(
        self,
        words: list[str],
        variables: Mapping[str, str],
        *,
        folder: Path,
        log: Path,
        speaks: bool = False,
    ) -> None:
        self._log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                words,
                env=dict(variables),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if speaks else file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def sleep(self) -> None:
        """Stop it, so that what waits its turn takes nothing from what is measured."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class Driver(Process):
    """A process of ours in some environment, which does one thing at a time as it is asked."""

    def __init__(
        self, python: Path, script: str, *arguments: str, variables: Mapping[str, str], folder: Path
    ) -> None:
        words = [str(python), str(DRIVERS / f"{script}.py"), *arguments]
        super().__init__(words, variables, folder=folder, log=folder / f"{script}.log", speaks=True)
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._heard = b""

    def ask(self, what: str, *, patience_s: float = PATIENCE_S, **how: Any) -> dict[str, Any]:
        """Have something done. Raises `NotDone` where the driver ends, hangs or answers with an error."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **how}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise NotDone(f"its process has ended: {self.last_words()}") from None
        answer: dict[str, Any] = json.loads(self._line(time.monotonic() + patience_s))
        if "error" in answer:
            raise NotDone(str(answer["error"]))
        return answer

    def _line(self, end: float) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._heard:
            if not self._selector.select(end - time.monotonic()) and time.monotonic() > end:
                raise NotDone("it did not answer in time")
            part = os.read(self._process.stdout.fileno(), 1 << 20)
            if not part:
                raise NotDone(f"its process has ended: {self.last_words()}")
            self._heard += part
        line, _, self._heard = self._heard.partition(b"\n")
        return line

    def kill(self) -> None:
        self._selector.close()
        super().kill()
