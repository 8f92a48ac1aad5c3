"""A real `rowel serve` in a process of its own, to be asked over HTTP, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

#: Seconds a server may take to answer first, and to end.
PATIENCE_S = 30.0
#: Seconds between two looks at something that another process changes.
LOOK_EACH_S = 0.05

FINAL = {"COMPLETED", "FAILED", "CANCELED"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One data directory and, at times, a process that serves it."""

    def __init__(
        self,
        data: Path,
        environment: Mapping[str, str] | None = None,
        *,
        ready: bool = True,
        program: str = "rowel",
    ) -> None:
        """`ready`: it counts as started once it is ready; else once it lives. `program` is the module that is run."""
        self.data = data
        self._program = program
        self._sign = "/health/ready" if ready else "/health/live"
        self.port = free_port()
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.url, timeout=60.0, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        # Pytest shows it with what failed.
        sys.stderr.write(self.kill())

    def spawn(self, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start a server on this data directory, whoever else is there."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "ROWEL_PORT": str(port or self.port),
            "ROWEL_DATA": str(self.data),
            **self._environment,
        }
        return subprocess.Popen(
            [sys.executable, "-m", self._program, "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def start(self, *, fully: bool = True) -> None:
        """Start the process and wait until it answers; not `fully`: don't wait, since it may be killed before."""
        self._process = self.spawn()
        if not fully:
            return
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended: {self.output()}")
            try:
                if self.http.get(self._sign).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(LOOK_EACH_S)
        raise AssertionError("the server does not answer")

    def kill(self) -> str:
        """kill -9, the whole group. Return what the process has said."""
        if self._process is None:
            return ""
        os.killpg(self._process.pid, signal.SIGKILL)
        said = self.output()
        self._process = None
        return said

    def stab(self) -> None:
        """kill -9, the process alone; from whatever thread, and without waiting."""
        if self._process is not None:
            self._process.kill()

    def await_end(self) -> None:
        """Wait until the process has ended."""
        assert self._process is not None
        self._process.communicate(timeout=PATIENCE_S)
        self._process = None

    def terminate(self) -> int:
        """SIGTERM; wait for the end and return the exit code."""
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE_S)
        code = self._process.returncode
        self._process = None
        return code

    def output(self) -> str:
        assert self._process is not None
        return self._process.communicate()[0].decode(errors="replace")

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.http.post(path, json=body if body is not None else {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def create(self, definition: Mapping[str, Any], name: str = "test") -> str:
        """Keep a workflow and return its id."""
        return str(self.post("/wf/", {"name": name, "definition": definition})["id"])

    def upload(self, filename: str, content: bytes) -> str:
        """Keep a dataset and return its id."""
        answer = self.http.post("/ds/", params={"name": filename}, files={"file": (filename, content)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def wait_for(self, run_id: str, *statuses: str, patience_s: float = PATIENCE_S) -> Any:
        """Look at the run until it has one of the statuses (none named: until it has ended)."""
        wanted = set(statuses) or FINAL
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            run = self.get(f"/run/{run_id}/")
            if run["status"] in wanted:
                return run
            time.sleep(LOOK_EACH_S)
        raise AssertionError(f"run {run_id} is {run['status']}, not {wanted}: {run}")
