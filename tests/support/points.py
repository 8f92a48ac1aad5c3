"""Servers that end themselves at named points, and a look at what they leave behind."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from rowel.cli.drill.fleet import Fleet, Unfit
from rowel.cli.drill.history import Blow, Fault

#: Seconds in which a server must have reached its point.
REACHED_WITHIN_S = 40.0


class PointFleet(Fleet):
    """A server that is killed once, and from then on kills itself by one fault after another; the last one lives."""

    def __init__(self, home: Path, *, http_allow: str, faults: Sequence[str]) -> None:
        super().__init__(home, http_allow=http_allow)
        self._file = home / "data" / "rowel.db"
        self._waiting = deque(faults)
        self._fault = ""

    def strike(self, blow: Blow, dice: Random, *, waits: bool) -> Fault:
        begun, ended, code = self._await_death() if self._fault else self._server.strike(blow)
        check_integrity(self._file)
        self._fault = self._waiting.popleft() if self._waiting else ""
        self._server._environment = {**self._server._environment, "ROWEL_FAULTS": self._fault}
        self._server.spawn()
        return Fault(blow=Blow.KILL, begun=begun, ended=ended, ready=self.await_ready(), code=code)

    def await_ready(self) -> float:
        """The same, though a server that reached its point at its start is never ready."""
        try:
            return super().await_ready()
        except Unfit:
            if not self._fault:
                raise
            return time.monotonic()

    def _await_death(self) -> tuple[float, float, int]:
        end = time.monotonic() + REACHED_WITHIN_S
        while self._server.is_running:
            if time.monotonic() > end:
                raise Unfit(f"{self._fault} was not reached")
            time.sleep(0.002)
        gone = time.monotonic()
        assert self._server._process is not None
        return gone, gone, self._server._process.returncode


def check_integrity(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextmanager
def reading(file: Path) -> Iterator[list[int]]:
    """Another process's reader: counts the runs again and again, on a connection that waits for nobody."""
    counts: list[int] = []
    errors: list[Exception] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.wait(0.02):
            if not file.exists():
                continue
            try:
                with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)) as connection:
                    counts.append(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield counts
    finally:
        is_over.set()
        thread.join()
    assert errors == []
