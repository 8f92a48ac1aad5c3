"""A real `rowel serve` on Postgres with real workers beside it, to be stopped, killed and drained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tests.support.server import PATIENCE_S, Server

#: Everybody looks after the others often, so that takeovers take about two seconds.
QUICK = {
    "ROWEL_HEARTBEAT_S": "0.5",
    "ROWEL_STALLED_S": "2",
    "ROWEL_SWEEP_S": "0.5",
    "ROWEL_FETCH_POLL_S": "0.25",
    "ROWEL_RECONCILE_S": "1",
    "ROWEL_FALLBACK_S": "1",
}


class Worker:
    """One `rowel worker` process."""

    def __init__(self, words: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rowel", "worker", *words],
            env=dict(environment),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """kill -9, the whole group."""
        if self.is_alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def stop(self) -> None:
        """Let it stand still, as a paused machine does."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def terminate(self) -> int:
        """SIGTERM; wait for the end and return the exit code."""
        self._process.terminate()
        code = self._process.wait(timeout=PATIENCE_S)
        self._log.close()
        return code


class Cluster:
    """A server on a Postgres, and workers."""

    def __init__(self, data: Path, database_url: str, environment: Mapping[str, str] | None = None) -> None:
        self._environment = {"ROWEL_DATABASE_URL": database_url, **QUICK, **(environment or {})}
        self._data = data
        self.server = Server(data, self._environment, ready=False)
        self.workers: list[Worker] = []
        self.log = data.parent / "workers.log"

    def __enter__(self) -> Cluster:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.go_on() if worker.is_alive else None
            worker.kill()
        self.server.__exit__(kind, error, trace)

    def add_worker(self, *words: str) -> Worker:
        """Start one more worker."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "ROWEL_DATA": str(self._data),
            **self._environment,
        }
        worker = Worker(list(words), environment, self.log)
        self.workers.append(worker)
        return worker
