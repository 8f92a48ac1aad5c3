"""The scripts that set a machine up, and the one command for everything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.source import ROOT

BARE = {"PATH": os.defpath}

SCRIPTS = [ROOT / ".ci" / "run", *(path for path in (ROOT / "scripts").iterdir() if not path.suffix)]


def _program(directory: Path, name: str, body: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _require(programs: Path) -> subprocess.CompletedProcess[str]:
    """Ask for a package where the machine's own programs are hidden behind `programs`."""
    return subprocess.run(
        [ROOT / "scripts" / "require", "Postgres", "postgresql"],
        env={"PATH": f"{programs}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run_and_parses(script):
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_a_user_who_may_not_install_is_told_exactly_what_to_install(tmp_path):
    _program(tmp_path, "id", "echo 1000")

    done = _require(tmp_path)

    assert done.returncode == 1
    assert "Postgres is missing" in done.stderr
    assert "    apt-get install postgresql\n" in done.stderr


def test_root_gets_it_installed(tmp_path):
    _program(tmp_path, "id", "echo 0")
    _program(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/asked')

    done = _require(tmp_path)

    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["update", "install"]
    assert asked[1].endswith(" postgresql")


def test_root_without_a_network_is_told_what_to_install(tmp_path):
    _program(tmp_path, "id", "echo 0")
    _program(tmp_path, "apt-get", "exit 100")

    done = _require(tmp_path)

    assert done.returncode == 1
    assert "    apt-get install postgresql\n" in done.stderr


def _plan(target: str) -> str:
    """What make would do for `target`, all over again."""
    command = ["make", "--dry-run", "--always-make", target]
    return subprocess.run(command, cwd=ROOT, env=BARE, capture_output=True, text=True, check=True).stdout


def test_no_recipe_calls_make():
    # Such a recipe runs even where make is only asked what it would do.
    assert "$(MAKE)" not in (ROOT / "Makefile").read_text()


def test_make_test_sets_up_lints_and_ends_with_the_suite():
    steps = ["scripts/set-up", "scripts/system-packages", "scripts/lint", ".venv/bin/python -m pytest"]
    plan = _plan("test")

    assert [step for step in steps if step not in plan] == []
    assert sorted(steps, key=plan.index) == steps


def test_make_lock_writes_every_lock_with_hashes_for_every_platform():
    plan = _plan("lock")

    for lock in ["runtime", "dev", "build"]:
        (line,) = [line for line in plan.splitlines() if line.endswith(f"-o requirements/{lock}.txt")]
        assert "--universal" in line
        assert "--generate-hashes" in line
