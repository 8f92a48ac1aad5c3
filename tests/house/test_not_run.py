"""A part of the suite that can't run here is said loudly, and is a failure where CI=true."""

from __future__ import annotations

import pytest

from tests.support.source import ROOT

pytest_plugins = ["pytester"]

CONFTEST = """
    from tests.support import not_run

    import pytest

    def pytest_terminal_summary(terminalreporter, config):
        not_run.report(config, terminalreporter)

    @pytest.fixture
    def tape_drive(request):
        not_run.leave_out(request, "A tape drive", "Buy one.")
"""

TESTS = """
    def test_that_needs_it(tape_drive): ...
    def test_that_needs_it_too(tape_drive): ...
    def test_that_needs_nothing(): ...
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    return pytester


def test_at_a_desk_the_tests_are_left_out_in_capital_letters(suite, monkeypatch):
    monkeypatch.delenv("CI", raising=False)

    result = suite.runpytest_subprocess()

    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "*NOT RUN: A TAPE DRIVE*",
            "2 TESTS WERE NOT RUN, SINCE A TAPE DRIVE IS NOT ON THIS MACHINE.",
            "Buy one.",
        ]
    )


def test_in_ci_they_fail(suite, monkeypatch):
    monkeypatch.setenv("CI", "true")

    result = suite.runpytest_subprocess()

    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*A tape drive is not on this machine. Buy one."])
