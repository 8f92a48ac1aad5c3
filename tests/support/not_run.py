"""Parts of the suite that this machine can't run: said in capital letters, and a failure where CI=true."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

#: part -> (what to do about it, the tests that were left out)
NotRun = dict[str, tuple[str, list[str]]]

_NOT_RUN = pytest.StashKey[NotRun]()


def is_ci() -> bool:
    """Whether nobody will read a warning, so that a part left out must be a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def leave_out(request: pytest.FixtureRequest, part: str, remedy: str) -> NoReturn:
    """Skip the requesting test because `part` is not on this machine. `remedy` says what to install.

    Where CI=true the test fails instead.
    """
    if is_ci():
        pytest.fail(f"{part} is not on this machine. {remedy}", pytrace=False)
    parts = request.config.stash.setdefault(_NOT_RUN, {})
    parts.setdefault(part, (remedy, []))[1].append(request.node.nodeid)
    pytest.skip(f"NOT RUN: {part} is not on this machine. {remedy}")


def report(config: pytest.Config, terminal: pytest.TerminalReporter) -> None:
    """Say at the end of the session which parts were left out, how many tests that was, and what to do."""
    for part, (remedy, tests) in config.stash.get(_NOT_RUN, {}).items():
        terminal.section(f"NOT RUN: {part.upper()}", sep="!", red=True, bold=True)
        terminal.line(f"{len(tests)} TESTS WERE NOT RUN, SINCE {part.upper()} IS NOT ON THIS MACHINE.")
        terminal.line(remedy)
