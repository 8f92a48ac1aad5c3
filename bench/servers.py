"""Servers at work for a case: Rowel, PySpur, an empty endpoint."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from bench import peers
from bench.processes import DRIVERS, ROOT, Process, environment, free_port
from bench.readings import NotDone

PATIENCE_S = 90.0


class Server(Process):
    """A process that serves HTTP on `port`; it has answered once when it is made. `http` asks it things."""

    def __init__(
        self, words: list[str], variables: dict[str, str], port: int, *, folder: Path, sign: str, name: str
    ) -> None:
        super().__init__(words, variables, folder=folder, log=folder / f"{name}.log")
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        try:
            self._await(sign)
        except BaseException:
            self.kill()
            raise

    def _await(self, sign: str) -> None:
        def answers() -> bool:
            if self.has_ended():
                raise NotDone(f"the server ended: {self.last_words()}")
            try:
                return self.http.get(sign).status_code < 400
            except httpx.TransportError:
                return False

        wait_until(answers, PATIENCE_S, f"the server does not answer: {self.last_words()}")

    def post(self, path: str, body: Any) -> Any:
        """The answer's JSON. Raises `NotDone` where it is refused."""
        answer = self.http.post(path, json=body)
        if answer.status_code >= 400:
            raise NotDone(f"{path} answered {answer.status_code}: {answer.text[:200]}")
        return answer.json()

    def kill(self) -> None:
        self.http.close()
        super().kill()


def wait_until(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Raise `NotDone` saying `otherwise` where it is not so in time."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise NotDone(otherwise)
        time.sleep(0.01)


def rowel(
    folder: Path,
    *,
    name: str = "rowel",
    data: Path | None = None,
    sign: str = "/health/live",
    **settings: str,
) -> Server:
    """`rowel serve`, in the environment of this checkout, with the bench's own node type."""
    port = free_port()
    variables = environment(
        PYTHONPATH=f"{ROOT / 'src'}:{ROOT / 'bench' / 'offered'}",
        ROWEL_PORT=str(port),
        ROWEL_DATA=str(data or folder / name),
        **settings,
    )
    words = [sys.executable, "-m", "rowel", "serve"]
    return Server(words, variables, port, folder=folder, sign=sign, name=name)


def worker(folder: Path, *, name: str = "worker", **settings: str) -> Process:
    """`rowel worker` beside it."""
    variables = environment(PYTHONPATH=f"{ROOT / 'src'}:{ROOT / 'bench' / 'offered'}", **settings)
    words = [sys.executable, "-m", "rowel", "worker"]
    return Process(words, variables, folder=folder, log=folder / f"{name}.log")


def endpoint(folder: Path) -> Server:
    """An empty FastAPI endpoint. Raises `NotInstalled`."""
    port = free_port()
    words = [str(peers.python("endpoint")), str(DRIVERS / "endpoint.py"), str(port)]
    return Server(words, environment(), port, folder=folder, sign="/health", name="endpoint")


def pyspur(folder: Path) -> Server:
    """PySpur on SQLite. Raises `NotInstalled`."""
    port = free_port()
    (folder / "tools").mkdir()
    variables = environment(
        DISABLE_ANONYMOUS_TELEMETRY="true",
        PROJECT_ROOT=str(folder),
        SQLITE_OVERRIDE_DATABASE_URL=f"sqlite:///{folder / 'pyspur.db'}",
    )
    words = [str(peers.python("pyspur")), str(DRIVERS / "pyspur_server.py"), str(port)]
    return Server(words, variables, port, folder=folder, sign="/api/wf/", name="pyspur")
