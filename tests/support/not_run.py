"""Parts of the suite that this machine can't run: said in capital letters, and a failure where CI=true."""

from __future__ import annotations

import os
import re
from typing import NoReturn

import pytest

#: How a test says that it was left out; the reports of all processes of a suite are looked through for it.
_SAID = re.compile(r"NOT RUN: (?P<part>.+) is not on this machine\. (?P<remedy>.*)", re.DOTALL)


def is_ci() -> bool:
    """Whether nobody will read a warning, so that a part left out must be a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def leave_out(request: pytest.FixtureRequest, part: str, remedy: str) -> NoReturn:
    """Skip the requesting test because `part` is not on this machine. `remedy` says what to install.

    Where CI=true the test fails instead.
    """
    if is_ci():
        pytest.fail(f"{part} is not on this machine. {remedy}", pytrace=False)
    pytest.skip(f"NOT RUN: {part} is not on this machine. {remedy}")


def report(config: pytest.Config, terminal: pytest.TerminalReporter) -> None:
    """Say at the end of the session which parts were left out, how many tests that was, and what to do."""
    counts: dict[tuple[str, str], int] = {}
    for skipped in terminal.stats.get("skipped", ()):
        if (said := _SAID.search(str(skipped.longrepr[-1]))) is not None:
            place = (said["part"], said["remedy"])
            counts[place] = counts.get(place, 0) + 1
    for (part, remedy), count in counts.items():
        terminal.section(f"NOT RUN: {part.upper()}", sep="!", red=True, bold=True)
        terminal.line(f"{count} TESTS WERE NOT RUN, SINCE {part.upper()} IS NOT ON THIS MACHINE.")
        terminal.line(remedy)
