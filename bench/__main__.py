"""`python -m bench [--quick] [--only chain,http] [--list]`: measure, and write RESULTS.md, .svg and .json."""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from bench import cases, machine, peers, plot, report
from bench.lab import Lab
from bench.peers import NotInstalled
from bench.readings import NotDone, Row, unmeasured

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
#: It quotes the figures of a whole run.
README = HERE.parent / "README.md"


def main() -> None:
    options = _options()
    found = cases.find()
    if options.list:
        sys.stdout.write("".join(f"{name:14} {module.TITLE}\n" for name, module in found.items()))
        return
    wanted = options.only.split(",") if options.only else list(found)
    if unknown := [name for name in wanted if name not in found]:
        raise SystemExit(f"There is no case {unknown[0]!r}; --list shows them.")
    begin = time.monotonic()
    with _alone(), ExitStack() as stack:
        lab = Lab(is_quick=options.quick, is_long=options.long, stack=stack)
        before = machine.conditions()
        facts = {
            **machine.describe(peers.CACHE),
            "load before": f"others used {before.busy:.0%} of all cores",
        }
        results = {name: _measure(found[name], lab) for name in found if name in wanted}
    _write(options, facts, results, found, time.monotonic() - begin)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").strip())
    parser.add_argument("--quick", action="store_true", help="about 3 minutes: fewer and shorter turns")
    parser.add_argument("--long", action="store_true", help="a batch of a million rows, half an hour more")
    parser.add_argument("--only", metavar="CASES", help="some of the cases, with commas between")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    parser.add_argument("--results", type=Path, help="where to write")
    options = parser.parse_args()
    # A part of the cases is no page of results.
    options.results = options.results or (peers.CACHE / "RESULTS.md" if options.only else RESULTS)
    return options


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else measures in this repository meanwhile."""
    peers.CACHE.mkdir(exist_ok=True)
    with (peers.CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("Another bench is at work here. Two at once would measure each other.") from None
        yield


def _measure(case: ModuleType, lab: Lab) -> list[Row]:
    sys.stdout.write(f"\n{case.TITLE}\n")
    begin = time.monotonic()
    rows: list[Row] = []
    try:
        for row in case.measure(lab):
            rows.append(row)
            sys.stdout.write(f"  {report.sentence(row)}\n")
            sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  # one case that fails takes nothing from the others
        why = str(error) if isinstance(error, (NotDone, NotInstalled)) else f"{type(error).__name__}: {error}"
        told = {(row.work, row.against) for row in rows}
        missing = [unmeasured(work, against, why, bound=bound) for work, against, bound in case.ROWS]
        for row in missing:
            if (row.work, row.against) not in told:
                rows.append(row)
                sys.stdout.write(f"  {report.sentence(row)}\n")
    sys.stdout.write(f"  ({time.monotonic() - begin:.0f} s)\n")
    return rows


def _write(
    options: argparse.Namespace,
    facts: dict[str, str],
    results: dict[str, list[Row]],
    found: dict[str, ModuleType],
    seconds: float,
) -> None:
    command = " ".join(["python -m bench", *sys.argv[1:]])
    facts["command"] = f"`{command}`, {seconds / 60:.1f} minutes"
    titles = {name: found[name].TITLE for name in results}
    limits = (HERE / "limits.txt").read_text() if (HERE / "limits.txt").exists() else ""
    options.results.write_text(report.render(facts, titles, results, limits))
    options.results.with_suffix(".svg").write_text(
        plot.draw([row for rows in results.values() for row in rows])
    )
    said = report.figures(facts, results)
    options.results.with_suffix(".json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    if options.results == RESULTS:
        README.write_text(report.quote(README.read_text(), said))
    missed = [row for rows in results.values() for row in rows if row.holds is False]
    sys.stdout.write(f"\nWritten: {options.results}. {len(missed)} floors are missed.\n")


if __name__ == "__main__":
    main()
