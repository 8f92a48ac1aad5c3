"""What a case measures with: turns, places to work in, a Postgres, the peers."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import machine, peers
from bench.processes import Driver, Process, environment
from bench.readings import Conditions, NotDone, Reading, Series, is_calm

#: How often the bench looks again whether the machine has become quiet, a third of a second each; quick and in full.
LOOKS_AGAIN = (30, 300)


@dataclass
class Side:
    """One who does the work: `work()` does it once and says how much a second. Raises `NotDone`."""

    name: str
    unit: str
    work: Callable[[], float]
    #: Stopped while others have their turn.
    processes: list[Process] = field(default_factory=list)
    #: Called once after the last turn, when the processes were killed: looks whether the work is in the database.
    prove: Callable[[], None] | None = None


class Lab:
    """One run of the bench."""

    def __init__(self, *, is_quick: bool, is_long: bool = False, stack: ExitStack) -> None:
        """`is_long`: batches of a million rows, which take longer than all the rest."""
        self.is_quick = is_quick
        self.is_long = is_long
        self._stack = stack
        self._postgres: Any = None
        self._fastest = float("inf")
        self._patience = self.pick(*LOOKS_AGAIN)
        peers.CACHE.mkdir(exist_ok=True)

    @property
    def turns(self) -> int:
        """How often each side has its turn."""
        return 2 if self.is_quick else 5

    @property
    def seconds(self) -> float:
        """How long a turn lasts where the work has no end of its own."""
        return 1.0 if self.is_quick else 2.5

    def pick(self, quick: int, full: int) -> int:
        return quick if self.is_quick else full

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder on the disk that the repository is on."""
        path = Path(tempfile.mkdtemp(prefix="work-", dir=peers.CACHE))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def driver(
        self, peer: str | None, script: str, *arguments: str, folder: Path, **variables: str
    ) -> Driver:
        """A driver in a peer's environment, or (None) in ours. Raises `NotInstalled`."""
        if peer is None:
            path = f"{peers.ROOT / 'src'}:{peers.ROOT / 'bench' / 'offered'}"
            variables = {"PYTHONPATH": path, **variables}
        python = Path(sys.executable) if peer is None else peers.python(peer)
        return Driver(python, script, *arguments, variables=environment(**variables), folder=folder)

    def postgres(self) -> Any:
        """A Postgres server with fsync, for the whole run. Raises `NotDone` where there are no programs for one."""
        if self._postgres is None:
            from tests.support import postgres

            binaries = postgres.programs()
            if binaries is None:
                raise NotDone(postgres.REMEDY)
            self._postgres = self._stack.enter_context(postgres.server(binaries, is_durable=True))
        return self._postgres

    def take_turns(self, sides: list[Side], *, turns: int | None = None) -> dict[str, Series]:
        """Let each side work in turn, A B A B; nobody else works meanwhile. A side that fails has its trouble told.

        A turn that the machine disturbed is taken again, a few times.
        """
        wanted = turns or self.turns
        made: list[dict[str, Reading]] = []
        troubles: dict[str, str] = {}
        for side in sides:
            _each(side, Process.sleep)
        self._fastest = float("inf")
        for _ in range(wanted + self.pick(1, 3)):
            made.append(self._turn(sides, troubles))
            if len(self._calm(made)) >= wanted:
                break
        for side in sides:
            if side.name not in troubles:
                _prove(side, troubles)
        calm = self._calm(made)
        kept = calm[:wanted] if len(calm) >= wanted else made
        return {side.name: _series(side, kept, troubles) for side in sides}

    def _turn(self, sides: list[Side], troubles: dict[str, str]) -> dict[str, Reading]:
        taken: dict[str, Reading] = {}
        for side in sides:
            if side.name in troubles:
                continue
            before = self.conditions()
            _each(side, Process.wake)
            try:
                taken[side.name] = Reading(side.work(), before)
            except NotDone as error:
                troubles[side.name] = f"the work was not done: {error}"
            finally:
                _each(side, Process.sleep)
        return taken

    def _calm(self, turns: list[dict[str, Reading]]) -> list[dict[str, Reading]]:
        """The turns in which the machine was quiet before everybody's work."""
        return [
            turn
            for turn in turns
            if all(is_calm(reading.conditions, self._fastest) for reading in turn.values())
        ]

    def conditions(self) -> Conditions:
        """The machine as it is now; a while is waited for it to become quiet, as long as there is patience."""
        now = machine.conditions()
        self._fastest = min(self._fastest, now.loop_s)
        while not is_calm(now, self._fastest) and self._patience:
            self._patience -= 1
            now = machine.conditions()
            self._fastest = min(self._fastest, now.loop_s)
        return now


def _series(side: Side, turns: list[dict[str, Reading]], troubles: dict[str, str]) -> Series:
    readings = tuple(turn[side.name] for turn in turns if side.name in turn)
    return Series(side.name, side.unit, readings, troubles.get(side.name, ""))


def _prove(side: Side, troubles: dict[str, str]) -> None:
    """Kill what worked and look for the work. What was only in memory is not there."""
    if side.prove is None:
        return
    _each(side, Process.kill)
    try:
        side.prove()
    except NotDone as error:
        troubles[side.name] = f"the work was not done: {error}"


def _each(side: Side, do: Callable[[Process], None]) -> None:
    for process in side.processes:
        do(process)


def rate(said: Mapping[str, Any]) -> float:
    """What a driver did a second. Raises `NotDone` where something came out wrong."""
    if said["wrong"]:
        raise NotDone(f"{said['wrong']} of {said['wrong'] + said['done']} results were wrong")
    return float(said["done"]) / float(said["seconds"])
