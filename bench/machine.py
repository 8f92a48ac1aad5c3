"""The machine: what it is, and whether it is quiet enough to measure on."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

from bench.readings import Conditions

LOOK_S = 0.3
LOOPS = 7


def conditions() -> Conditions:
    """How busy others keep the machine, and how fast it is. Nothing of ours may be at work meanwhile."""
    return Conditions(busy=_busy(), loop_s=min(_loop() for _ in range(LOOPS)))


def _busy() -> float:
    """The share of all cores that is used while we sleep; stolen time counts as used."""
    before = _ticks()
    time.sleep(LOOK_S)
    after = _ticks()
    spent = [late - early for early, late in zip(before, after, strict=True)]
    total = sum(spent)
    idle = spent[3] + spent[4]
    return 1 - idle / total if total else 0.0


def _ticks() -> list[int]:
    # user nice system idle iowait irq softirq steal
    return [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def _loop() -> float:
    begin = time.perf_counter()
    total = 0
    table = dict.fromkeys(range(64), 1)
    for number in range(60_000):
        total += table[number & 63]
    return time.perf_counter() - begin


def describe(folder: Path) -> dict[str, str]:
    """What a reader has to know of the machine to compare."""
    model = [
        line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "processor": f"{model[0] if model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory) / 1024**2:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "disk": f"fdatasync of 4 KiB appended to a file: {_sync_s(folder) * 1e6:.0f} µs, median of 200",
        "Python": platform.python_version(),
        "SQLite": f"{sqlite3.sqlite_version}, WAL, synchronous=FULL",
        "Rowel": f"{version('rowel')} on {platform.python_implementation()}, {Path(sys.executable).name}",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _sync_s(folder: Path) -> float:
    path = folder / "sync"
    times: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"\0" * 4096)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    path.unlink()
    return statistics.median(times)


def resident_mb(pid: int) -> float:
    """Resident memory of one process, in MB of 1,000,000 bytes."""
    for line in _lines(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in _words(path)]
    return [pid, *(member for child in children for member in family(child))]


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
