"""The peers: each installed from its registry into an environment of its own, by a list with hashes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench"
LISTS = Path(__file__).parent / "peers"
INSTALL_S = 600


class NotInstalled(Exception):
    """A peer could not be had: says why, in a line."""


def python(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or its list has changed.

    Raises `NotInstalled`.
    """
    wanted = LISTS / f"{peer}.txt"
    home = CACHE / "peers" / peer
    mark = home / "installed"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    interpreter = home / "bin" / "python"
    if mark.exists() and mark.read_text() == digest and interpreter.exists():
        return interpreter
    home.parent.mkdir(parents=True, exist_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    _run(peer, "venv", "--quiet", "--clear", "--python", version, str(home))
    _run(
        peer, "pip", "install", "--quiet", "--python", str(interpreter), "--require-hashes", "-r", str(wanted)
    )
    mark.write_text(digest)
    return interpreter


def version(peer: str, package: str | None = None) -> str:
    """The version of a peer that its list pins."""
    name = re.escape(package or peer)
    found = re.search(rf"^{name}==(\S+)", (LISTS / f"{peer}.txt").read_text(), re.MULTILINE)
    return found[1] if found else "?"


def _run(peer: str, *words: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    try:
        done = subprocess.run(
            [uv, *words], capture_output=True, text=True, timeout=INSTALL_S, check=False, cwd=ROOT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{peer} could not be installed: {error}") from None
    if done.returncode:
        said = (done.stderr.strip() or "uv says nothing").splitlines()[-1]
        raise NotInstalled(f"{peer} could not be installed: {said}")
