"""Where Rowel's time goes: `python -m bench.profile [chain steps batch]` writes bench/profiles/*.txt.

py-spy looks 500 times a second, from an environment of its own, at whoever holds the interpreter's lock; so what is
counted is work in Python, and waiting for a disk, a socket or another process is not. What is left of a second is said
in the first lines.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import peers
from bench.definitions import OUTPUT, chain, node, static_chain, step_chain
from bench.lab import Lab
from bench.processes import Driver

FOLDER = Path(__file__).parent / "profiles"
SECONDS = 10
#: Functions that a profile shows, of each of its two lists.
SHOWN = 30

PURE = {"last": OUTPUT, "field": "v", "adds": -3}
STEPS = {"last": "step_5", "field": "n", "adds": 5}
#: What is profiled, and how many runs are in flight.
WORKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chain": (static_chain(), {**PURE, "in_flight": 16}),
    "steps": (step_chain(), {**STEPS, "in_flight": 16}),
    "steps-one": (step_chain(), {**STEPS, "in_flight": 1}),
}
ROWS = 20_000


def main() -> None:
    wanted = sys.argv[1:] or [*WORKS, "batch"]
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as stack:
        lab = Lab(is_quick=False, stack=stack)
        for name in wanted:
            with lab.folder() as folder:
                (FOLDER / f"{name}.txt").write_text(_profile(lab, name, folder))
            sys.stdout.write(f"written: bench/profiles/{name}.txt\n")


def _profile(lab: Lab, name: str, folder: Path) -> str:
    with lab.driver(None, "rowel_in_process", str(folder / "data"), folder=folder) as driver:
        if name == "batch":
            return _recorded(
                driver, folder, f"a batch of {ROWS:,} rows of 3 static nodes", _batch(driver, folder)
            )
        definition, how = WORKS[name]
        driver.ask("save", name="work", definition=definition)
        driver.ask("runs", name="work", seconds=1, **how)
        asked = {"do": "runs", "name": "work", "seconds": SECONDS + 2, **how}
        nodes = len(definition["nodes"])
        return _recorded(driver, folder, f"runs of {nodes} nodes, {how['in_flight']} in flight", asked)


def _batch(driver: Driver, folder: Path) -> dict[str, Any]:
    csv = folder / "rows.csv"
    csv.write_text("n\n" + "".join(f"{n}\n" for n in range(ROWS)))
    last = node(OUTPUT, "OutputNode", output_map={"n": "merge.input_node.n"})
    nodes = [node("input_node", "InputNode", output_schema={"n": "int"}), node("merge", "MergeNode"), last]
    driver.ask("save", name="work", definition=chain(nodes))
    return {"do": "batch", "name": "work", "dataset": str(csv), "window": 100, "last": OUTPUT, "adds": 0}


def _recorded(driver: Driver, folder: Path, what: str, asked: dict[str, Any]) -> str:
    """Have the driver work while py-spy looks at it, and tell what it saw."""
    raw = folder / "raw"
    words = ["record", "--gil", "-d", str(SECONDS), "-r", "500", "-f", "raw", "-o", str(raw)]
    spy = peers.python("py-spy").parent / "py-spy"
    looking = subprocess.Popen(
        [spy, *words, "--pid", str(driver.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    begin = time.monotonic()
    said = driver.ask(asked.pop("do"), **asked)
    seconds = min(time.monotonic() - begin, SECONDS)
    looking.wait()
    head = f"{what}: {said['done'] / said['seconds']:,.0f} a second while it was looked at"
    return f"{head}\n{summary(raw.read_text().splitlines(), round(500 * seconds))}"


def summary(stacks: Iterable[str], looks: int) -> str:
    """The functions that held the interpreter's lock, by themselves and with what they called, in % of all looks."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = [frame.rsplit(":", 1)[0] + ")" if ":" in frame else frame for frame in stack.split(";")]
        total += int(count)
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    parts = [f"the interpreter was at work in {total / max(looks, 1):.0%} of the looks; shares are of these"]
    for title, counted in [("by itself", alone), ("with what it called", within)]:
        parts += ["", title]
        parts += [f"{count / max(total, 1):6.1%}  {frame}" for frame, count in counted.most_common(SHOWN)]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
