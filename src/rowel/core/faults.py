"""Faults that a test asks for: what happens when a named point is reached for the n-th time. Values only.

`commit.after:3:kill` kills the process after its third commit; `begin.before:5-9:full` tells it five times, from the
fifth on, that the disk is full. Several are separated by commas.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_FAULT = re.compile(r"([a-z]+(?:\.[a-z]+)*):([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,8}))?:([a-z]+)")


class Point(StrEnum):
    """Where a fault may happen."""

    #: The writer's connection.
    CONNECT = "connect"
    BEGIN_BEFORE = "begin.before"
    BEGIN_AFTER = "begin.after"
    STATEMENT_BEFORE = "statement.before"
    STATEMENT_AFTER = "statement.after"
    COMMIT_BEFORE = "commit.before"
    COMMIT_AFTER = "commit.after"
    #: A statement of a reader.
    READ = "read"
    #: A file on its way to its place.
    FILE_OPEN = "file.open"
    FILE_WRITE = "file.write"
    FILE_PUBLISH_BEFORE = "file.publish.before"
    FILE_PUBLISH_AFTER = "file.publish.after"


class Harm(StrEnum):
    """What happens there: the process is killed, the thread hangs, or the driver reports an error."""

    KILL = "kill"
    HANG = "hang"
    IO = "io"
    FULL = "full"
    LOCKED = "locked"


#: Called wherever a point is reached. Returns the error that is to be reported there, if any.
Reach = Callable[[Point], Harm | None]


@dataclass(frozen=True)
class Fault:
    """The harm done when `point` is reached for the `first` to the `last` time."""

    point: Point
    first: int
    last: int
    harm: Harm


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Read `point:n:harm` and `point:n-m:harm`, with commas between. Raises `ValueError` saying what it must be."""
    return tuple(_parse(word.strip()) for word in text.split(",") if word.strip())


def _parse(word: str) -> Fault:
    found = _FAULT.fullmatch(word)
    try:
        if found is None:
            raise ValueError
        point, first, last, harm = found.groups()
        if int(last or first) < int(first):
            raise ValueError
        return Fault(Point(point), int(first), int(last or first), Harm(harm))
    except ValueError:
        points, harms = ", ".join(Point), ", ".join(Harm)
        raise ValueError(f"point:n:harm with a point of {points} and a harm of {harms}") from None
