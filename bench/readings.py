"""What was measured, and what may be said of it. Pure: no clock, no process, no file."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

#: What others may use of the machine just before a reading: a share of all its cores.
MOST_BUSY = 0.15
#: How much longer a loop of fixed work may take before one reading than before another.
MOST_DRIFT = 1.3


class NotDone(Exception):
    """The work was not done, or not durably: says what is missing."""


@dataclass(frozen=True)
class Conditions:
    """The machine just before a reading, with nothing of ours at work."""

    #: The share of all cores that others used.
    busy: float
    #: Seconds that a loop of fixed work took.
    loop_s: float


@dataclass(frozen=True)
class Reading:
    """What one side did in one turn, in the unit of its series."""

    value: float
    conditions: Conditions


@dataclass(frozen=True)
class Series:
    """The readings of one side, one a turn."""

    name: str
    unit: str
    readings: tuple[Reading, ...] = ()
    #: Why they count for nothing: the work was not done, the peer could not be had.
    trouble: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def values(self) -> list[float]:
        return [reading.value for reading in self.readings]


@dataclass(frozen=True)
class Bound:
    """What a figure has to be: at least, or at most."""

    figure: float
    unit: str
    is_least: bool = True

    def holds(self, value: float) -> bool:
        return value >= self.figure if self.is_least else value <= self.figure


def least(figure: float, unit: str = "×") -> Bound:
    return Bound(figure, unit)


def most(figure: float, unit: str) -> Bound:
    return Bound(figure, unit, is_least=False)


@dataclass(frozen=True)
class Row:
    """One line of the results: a figure and what it has to be, or why there is none."""

    work: str
    #: What it was measured against, or what the figure is.
    against: str
    unit: str
    value: float | None = None
    #: The lowest and the highest of the turns.
    spread: tuple[float, float] | None = None
    bound: Bound | None = None
    ours: Series | None = None
    theirs: Series | None = None
    #: Why there is no value.
    why: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept; None where there is no bound or no value."""
        return None if self.bound is None or self.value is None else self.bound.holds(self.value)


def compare(
    work: str,
    ours: Series,
    theirs: Series,
    *,
    turns: int,
    bound: Bound | None = None,
    notes: Sequence[str] = (),
) -> Row:
    """Our rate over theirs, as times or (where the bound is in %) as a share; no ratio where it would mean nothing."""
    unit = bound.unit if bound else "×"
    row = Row(work, theirs.name, unit, bound=bound, ours=ours, theirs=theirs, notes=tuple(notes))
    why = refusal([ours, theirs], turns)
    if why:
        return _without(row, why)
    scale = 100.0 if unit == "%" else 1.0
    ratios = [scale * a / b for a, b in zip(ours.values, theirs.values, strict=False)]
    return _with(row, scale * ours.median / theirs.median, ratios)


def figure(
    work: str, what: str, ours: Series, *, turns: int, bound: Bound | None = None, notes: Sequence[str] = ()
) -> Row:
    """A figure of our own, by its median."""
    row = Row(work, what, ours.unit, bound=bound, ours=ours, notes=tuple(notes))
    why = refusal([ours], turns)
    return _without(row, why) if why else _with(row, ours.median, ours.values)


def unmeasured(work: str, against: str, why: str, *, bound: Bound | None = None) -> Row:
    """A row that says why it has no figure."""
    return Row(work, against, bound.unit if bound else "", bound=bound, why=why)


def refusal(sides: Sequence[Series], turns: int) -> str:
    """Why these sides give no figure; empty where they do."""
    for side in sides:
        if side.trouble:
            return f"{side.name}: {side.trouble}"
        if len(side.readings) < turns:
            return f"{side.name}: {len(side.readings)} turns of {turns} were measured"
        if any(reading.value <= 0 for reading in side.readings):
            return f"{side.name}: nothing was done in a turn"
    return machine_refusal([reading.conditions for side in sides for reading in side.readings])


def machine_refusal(conditions: Sequence[Conditions]) -> str:
    """Why the machine was no place to measure on; empty where it was."""
    busiest = max(condition.busy for condition in conditions)
    if busiest > MOST_BUSY:
        return f"the machine was loaded: others used {busiest:.0%} of it, {MOST_BUSY:.0%} at most is allowed"
    loops = [condition.loop_s for condition in conditions]
    drift = max(loops) / min(loops)
    if drift > MOST_DRIFT:
        return (
            f"the machine was not steady: a loop of fixed work took {drift:.2f} times as long in one turn as in "
            f"another, {MOST_DRIFT} at most is allowed"
        )
    return ""


def is_calm(conditions: Conditions, fastest_loop_s: float) -> bool:
    """Whether a reading may be taken now, by the fastest loop seen so far."""
    return conditions.busy <= MOST_BUSY and conditions.loop_s <= fastest_loop_s * MOST_DRIFT


def _with(row: Row, value: float, turns: Sequence[float]) -> Row:
    return Row(
        row.work, row.against, row.unit, value, (min(turns), max(turns)),
        row.bound, row.ours, row.theirs, "", row.notes,
    )  # fmt: skip


def _without(row: Row, why: str) -> Row:
    return Row(row.work, row.against, row.unit, None, None, row.bound, row.ours, row.theirs, why, row.notes)
