"""The processes of one Rowel: started, struck down, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from rowel.cli.drill.history import Blow, Fault
from rowel.client import Client

#: Seconds that a process may take to answer first, and to end when it is asked to.
PATIENCE_S = 60.0
_LOOK_EACH_S = 0.05
#: Ports below those that the system gives to connections: nobody takes one while its server is down.
_PORTS = range(20_000, 32_000)
#: What is told of a process that ended by itself.
_TOLD = 2_000


class Unfit(Exception):
    """A process doesn't come up, or ended by itself. The message says what it said last."""


class Process:
    """One `rowel` command in a process group of its own."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._words = words
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        #: How much was in the log when it was started last.
        self._said = 0

    @property
    def is_at_work(self) -> bool:
        """Whether it has said that it is."""
        return self._log.exists() and self._log.stat().st_size > self._said

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        with self._log.open("ab") as log:
            self._said = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rowel", *self._words],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises `Unfit` where the process ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            what, code = " ".join(self._words), self._process.returncode
            said = self._log.read_text(errors="replace")[-_TOLD:]
            raise Unfit(f"`rowel {what}` ended by itself with code {code}. It said:\n{said}")

    def strike(self, blow: Blow) -> tuple[float, float, int]:
        """Kill the whole group, or ask the process to end. Return when, when it was gone, and its exit code."""
        assert self._process is not None
        begun = time.monotonic()
        if blow is Blow.TERMINATE:
            self._process.terminate()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait(PATIENCE_S)
        return begun, time.monotonic(), code

    def end(self) -> None:
        """Kill it, if it is there."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Fleet:
    """A server on a data directory; or on a Postgres, with workers beside it."""

    def __init__(
        self,
        home: Path,
        *,
        http_allow: str,
        database_url: str | None = None,
        workers: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`home` takes the data and what the processes say; `settings` are further `ROWEL_*` variables."""
        port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWEL_")}
        environment |= {
            "ROWEL_DATA": str(home / "data"),
            "ROWEL_PORT": str(port),
            "ROWEL_HTTP_ALLOW": http_allow,
            **(settings or {}),
        }
        if database_url is not None:
            environment["ROWEL_DATABASE_URL"] = database_url
        self.url = f"http://127.0.0.1:{port}"
        self._server = Process(["serve"], environment, home / "server.log")
        self._workers = [
            Process(["worker"], environment, home / f"worker-{number}.log") for number in range(workers)
        ]
        self._client = Client(self.url, timeout=5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        for process in self._processes:
            process.end()

    @property
    def _processes(self) -> list[Process]:
        return [self._server, *self._workers]

    def start(self) -> None:
        """Start everything and wait until it takes work. Raises `Unfit`."""
        for process in self._processes:
            process.spawn()
        self.await_ready()

    def await_ready(self) -> float:
        """Wait until the server takes work; return the moment. Raises `Unfit`."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.check()
            if self._client.is_ready():
                return time.monotonic()
            time.sleep(_LOOK_EACH_S)
        raise Unfit(f"The server was not ready within {PATIENCE_S:g} s.")

    def await_workers(self) -> None:
        """Wait until every worker is at work: one that finds no store at its start ends. Raises `Unfit`."""
        end = time.monotonic() + PATIENCE_S
        while not all(worker.is_at_work for worker in self._workers):
            self.check()
            if time.monotonic() > end:
                raise Unfit(f"A worker was not at work within {PATIENCE_S:g} s.")
            time.sleep(_LOOK_EACH_S)

    def check(self) -> None:
        """Raises `Unfit` where a process ended by itself."""
        for process in self._processes:
            process.check()

    def strike(self, blow: Blow, dice: Random, *, waits: bool) -> Fault:
        """Strike a process down and start it again; `waits` until the server takes work. Raises `Unfit`."""
        self.check()
        victim = self._victim(dice)
        begun, ended, code = victim.strike(blow)
        victim.spawn()
        ready = self.await_ready() if waits else None
        if victim is not self._server:
            ready = None
        return Fault(blow=blow, begun=begun, ended=ended, ready=ready, code=code)

    def _victim(self, dice: Random) -> Process:
        """Mostly a worker, where there are some."""
        return dice.choice([self._server, *self._workers, *self._workers])


def free_port() -> int:
    """A port that stays ours while nobody listens there."""
    for port in Random().sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unfit("No port is free.")
