"""The drill command."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import randbelow
from typing import TYPE_CHECKING, Annotated

import typer

from rowel.cli.exits import Exit, fail
from rowel.cli.looks import console, say

if TYPE_CHECKING:
    from rowel.cli.drill.drill import Plan, Stage, Tell

#: Single runs that are started beside the batch after each kill.
RUNS = 8
#: Workers beside the server, on Postgres.
WORKERS = 2
#: Seconds between two kills at the most, and at the least.
LONGEST_S, SHORTEST_S = 2.5, 0.5
#: Rows in flight, and calls that each of them makes.
_IN_FLIGHT, _CALLS = 8, 2
#: Seconds between two lines where there is no terminal.
_LINE_EACH_S = 5.0
_SEEDS = 1_000_000
_INTERRUPTED = 130


def drill(
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="Rows of the sample batch.")] = 500,
    kills: Annotated[int, typer.Option(min=0, max=100_000, help="How often it is killed.")] = 6,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Go on for so long, drill after drill.")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(help="A Postgres on which a database may be made for the drill; else SQLite."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Do again what was printed with it.")] = None,
) -> None:
    """Kill a Rowel at work again and again, and see that nothing is lost and nothing done twice.

    It works on a directory (and with --database-url a database) of its own, which is gone afterwards; the service
    that its workflows call is on loopback. Ends with 1 where a promise was broken.
    """
    from rowel.cli.drill.campaign import campaign
    from rowel.cli.drill.databases import NoDatabase
    from rowel.cli.drill.fleet import Unfit
    from rowel.cli.drill.table import show

    plan = _plan(rows, kills, database_url, randbelow(_SEEDS) if seed is None else seed)
    say(f"Seed {plan.seed}: {_intent(plan, minutes)}")
    try:
        with _interruptible(), _told() as tell:
            result = campaign(plan, tell, kills=None if minutes else kills, seconds=(minutes or 0) * 60)
    except (Unfit, NoDatabase) as error:
        fail(str(error), Exit.UNAVAILABLE)
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    show(result)
    raise typer.Exit(Exit.RUN_FAILED if result.violations else Exit.DONE)


def _plan(rows: int, kills: int, database_url: str | None, seed: int) -> Plan:
    from rowel.cli.drill.campaign import KILLS_A_DRILL
    from rowel.cli.drill.drill import Plan

    in_one = min(kills, KILLS_A_DRILL)
    # So slow that the batch is at work while the kills fall.
    at_work_s = max(in_one, 1) * (SHORTEST_S + LONGEST_S) / 2
    delay_s = min(max(at_work_s * _IN_FLIGHT / (rows * _CALLS), 0.01), 0.3)
    return Plan(
        seed=seed,
        kills=in_one,
        runs=RUNS,
        rows=rows,
        delay_s=delay_s,
        shortest_s=SHORTEST_S,
        longest_s=LONGEST_S,
        database_url=database_url,
        workers=WORKERS if database_url else 0,
    )


def _intent(plan: Plan, minutes: float | None) -> str:
    # The address may hold a password.
    where = "SQLite" if plan.database_url is None else f"Postgres with {plan.workers} workers"
    span = f" for {minutes:g} minutes" if minutes else ""
    return f"{plan.rows:,} rows and some single runs on {where}, killed {plan.kills} times{span}."


@contextmanager
def _told() -> Iterator[Tell]:
    """Tells how far a drill has come: in one line that changes, or where there is no terminal now and then."""
    from rowel.cli.drill.table import line_of

    if console.is_terminal:
        with console.status("A Rowel starts.") as status:
            yield lambda stage: status.update(line_of(stage))
        return
    last = time.monotonic()

    def tell(stage: Stage) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EACH_S:
            last = time.monotonic()
            say(line_of(stage))

    yield tell


@contextmanager
def _interruptible() -> Iterator[None]:
    """Whoever ends the drill ends the processes that it started."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
