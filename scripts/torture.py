"""Kills Rowel a thousand times, with fifty runs started after each kill, and says the figures.

`make torture`, or `make torture TORTURE="kills=200 runs=50 rows=10 seed=7 store=postgres workers=3" REPORT=report.txt`.
All intervals are the real ones. Every twenty kills everything must have ended, and what was seen is judged; then the
next drill begins on a fresh directory, with the seed of the last one plus 1. Ends with 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import randbelow

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from rowel.cli.drill.campaign import KILLS_A_DRILL, Result, campaign  # noqa: E402  # the path comes first
from rowel.cli.drill.drill import Plan  # noqa: E402
from rowel.cli.drill.figures import Figures, spread  # noqa: E402
from rowel.cli.drill.harms import Harm  # noqa: E402
from rowel.cli.drill.history import Blow  # noqa: E402

#: Workers beside the server, where the store is a Postgres.
WORKERS = 3


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    kills: int = 1_000
    runs: int = 50
    #: Of a batch that is started after each kill.
    rows: int = 10
    seed: int = -1
    store: str = "sqlite"
    workers: int = WORKERS

    @classmethod
    def of(cls, words: Sequence[str]) -> Wish:
        """Read `name=value` words. Raises `ValueError` naming the one that can't be understood."""
        wish = cls()
        for word in words:
            name, _, value = word.partition("=")
            if name not in vars(wish) or not value:
                raise ValueError(f"{word!r} is none of {', '.join(f'{known}=...' for known in vars(wish))}")
            wish = replace(wish, **{name: value if name == "store" else int(value)})
        if wish.store not in ("sqlite", "postgres"):
            raise ValueError(f"store={wish.store}: it is sqlite or postgres")
        return wish if wish.seed >= 0 else replace(wish, seed=randbelow(1_000_000))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="name=value")
    parser.add_argument("--report", type=Path, help="write the figures to this file too")
    given = parser.parse_args(arguments)
    try:
        wish = Wish.of(given.words)
    except ValueError as error:
        parser.error(str(error))
    print(f"{wish.kills} kills, {wish.runs} runs after each, on {wish.store}, seed {wish.seed}.", flush=True)
    with planned(wish) as plan:
        result = campaign(plan, lambda _: None, kills=wish.kills, after_each=tell)
    text = report(wish, result)
    print(text)
    if given.report is not None:
        given.report.write_text(text)
    return 1 if result.violations else 0


@contextmanager
def planned(wish: Wish) -> Iterator[Plan]:
    """One drill of many, and the Postgres it needs."""
    plan = Plan(seed=wish.seed, kills=KILLS_A_DRILL, runs=wish.runs, small_rows=wish.rows)
    if wish.store == "sqlite":
        yield plan
        return
    from tests.support.postgres import REMEDY, programs, server

    binaries = programs()
    if binaries is None:
        raise SystemExit(f"Postgres is not on this machine. {REMEDY}")
    with server(binaries) as postgres:
        yield replace(
            plan,
            database_url=postgres.url("postgres"),
            workers=wish.workers,
            restart_store=postgres.restart,
            store_each=7,
        )


def tell(result: Result) -> None:
    """A line after each drill."""
    figures = result.figures
    harm = figures.harms.total()
    print(
        f"{result.took_s / 60:6.1f} min  {figures.kills} kills, {figures.runs:,} runs, {figures.interrupted} tasks "
        f"interrupted, {harm} violations, {memory_mib()} MiB here",
        flush=True,
    )
    for violation in result.violations if harm else ():
        print(f"  {violation}", flush=True)


def memory_mib() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def report(wish: Wish, result: Result) -> str:
    """The figures as text."""
    figures = result.figures
    lines = [
        f"Rowel, tortured: {wish.kills} kills, {wish.runs} runs and a batch of {wish.rows} rows after each",
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"store {wish.store}" + (f", {wish.workers} workers" if wish.store == "postgres" else ""),
        "",
        *(f"{name:32}{value}" for name, value in rows(wish, result, figures)),
        "",
        *(f"{harm.promise:4}{harm.label:34}{figures.harms[harm]}" for harm in Harm),
        "",
        *map(str, result.violations),
        *(f"kept: {home}" for home in result.kept),
    ]
    return "\n".join(lines).rstrip() + "\n"


def rows(wish: Wish, result: Result, figures: Figures) -> Iterator[tuple[str, str]]:
    last = wish.seed + figures.drills - 1
    yield "seeds", f"{wish.seed} to {last}"
    yield "took", f"{result.took_s / 60:.1f} min"
    yield "kills (kill -9)", f"{figures.kills}"
    yield "shutdowns (SIGTERM)", f"{figures.blows[Blow.TERMINATE]}"
    yield "restarts of the database", f"{figures.blows[Blow.RESTART_STORE]}"
    yield "starts acknowledged", f"{figures.acknowledged:,}"
    yield "runs, rows and child runs too", f"{figures.runs:,}"
    yield "of them ended", f"{figures.ended:,} (the others wait for a person, as they were told to)"
    yield "decisions and cancels accepted", f"{figures.decisions:,} and {figures.cancels:,}"
    yield "tasks with side effects", f"{figures.tries.total():,}"
    yield "of them interrupted", f"{figures.interrupted:,}"
    yield "calls made by a task", ", ".join(f"{n}: {figures.tries[n]:,}" for n in sorted(figures.tries))
    yield "server takes work again after", spread(figures.ready_s)
    yield "interrupted task runs again after", spread(figures.retried_s)
    yield "memory of clients and checker", f"at most {memory_mib()} MiB"
    yield "violations", f"{figures.harms.total()}"


if __name__ == "__main__":
    raise SystemExit(main())
