"""What is installed is what was locked: each version pinned, each file by its hash, no address named."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ["runtime", "dev", "build"]

DIRECT = {
    "runtime": PROJECT["project"]["dependencies"],
    "dev": [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]],
    "build": PROJECT["dependency-groups"]["build"],
}


def _lines(lock: str) -> list[str]:
    """The lock's requirements, each with its options in one line, without comments."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "requirements" / f"{lock}.txt").read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", " ").splitlines()


def _pins(lock: str) -> dict[str, set[str]]:
    """Each locked name's versions: more than one where platforms differ."""
    pins: dict[str, set[str]] = {}
    for line in _lines(lock):
        requirement = Requirement(line.split(" --hash", 1)[0])
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        pins.setdefault(canonicalize_name(requirement.name), set()).add(pin.version)
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_one_version_with_hashes(lock):
    without = [line for line in _lines(lock) if not re.search(r"--hash=sha256:[0-9a-f]{64}( |$)", line)]

    assert without == []
    assert len(_pins(lock)) > (40 if lock != "build" else 3)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_index_and_no_address_is_named(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    assert (
        re.findall(r"^.*(?:://|--(?:extra-)?index|--find-links|--trusted-host| @ ).*$", text, re.MULTILINE)
        == []
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_is_made_from_the_present_choice(lock):
    pins = _pins(lock)
    chosen = [Requirement(line) for line in DIRECT[lock]]
    unmet = [
        str(choice)
        for choice in chosen
        if not any(
            choice.specifier.contains(version) for version in pins.get(canonicalize_name(choice.name), ())
        )
    ]

    assert unmet == [], "run: make lock"


def test_what_builds_the_wheel_is_what_its_build_system_asks_for():
    # `editables` is for installing a checkout.
    asked = set(PROJECT["build-system"]["requires"]) - {"editables"}

    assert asked == set(PROJECT["dependency-groups"]["build"])


def test_tests_run_on_the_versions_that_users_get():
    dev = _pins("dev")

    for lock in ["runtime", "build"]:
        assert {name: versions for name, versions in _pins(lock).items() if dev.get(name) != versions} == {}


def test_what_only_linux_has_is_asked_for_on_linux_alone():
    (sandlock,) = [line for line in _lines("runtime") if line.startswith("sandlock==")]

    assert "sys_platform == 'linux'" in sandlock
