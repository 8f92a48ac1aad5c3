"""Sending requests from a process of their own, the same one for every server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.processes import environment
from bench.readings import NotDone

SCRIPT = Path(__file__).parent / "load.py"
#: The share of a core at which the generator may itself be what limits.
MOST_CORE = 0.9
PATIENCE_S = 60


def load(port: int, path: str, body: Any, *, clients: int, seconds: float, **more: Any) -> dict[str, Any]:
    """POST `body` again and again. Raises `NotDone` where an answer is not 200, or the generator was the limit."""
    asked = {"port": port, "path": path, "body": body, "clients": clients, "seconds": seconds, **more}
    try:
        done = subprocess.run(
            [sys.executable, str(SCRIPT)],
            input=json.dumps(asked),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=seconds + PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotDone(f"{path} did not answer within {PATIENCE_S} s") from None
    if done.returncode:
        raise NotDone(f"the load generator failed: {done.stderr.strip().splitlines()[-1]}")
    said: dict[str, Any] = json.loads(done.stdout)
    if set(said["statuses"]) != {"200"}:
        raise NotDone(f"answers by status: {said['statuses']}")
    if said["core"] > MOST_CORE:
        raise NotDone(f"the load generator used {said['core']:.0%} of a core and may have been the limit")
    said["done"] = said["statuses"]["200"]
    return said


def check_answers(said: dict[str, Any], wanted: Any) -> None:
    """Raise `NotDone` unless every answer was `wanted`."""
    if said["kinds"] != 1 or json.loads(next(iter(said["bodies"]))) != wanted:
        raise NotDone(f"{said['kinds']} kinds of answers came, such as {next(iter(said['bodies']))[:100]}")
