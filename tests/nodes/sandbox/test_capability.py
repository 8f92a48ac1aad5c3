"""What a machine can do, told from what it says of itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rowel.nodes.clients.sandbox import capability
from tests.support.source import ROOT

sandlock = pytest.importorskip("sandlock", reason="sandlock is for Linux")


@pytest.fixture
def landlock(monkeypatch):
    """Makes the kernel say that it has this version of Landlock."""
    return lambda version: monkeypatch.setattr(sandlock, "landlock_abi_version", lambda: version)


def test_only_linux_can_confine(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")

    assert capability.obstacle() == "full Python can be confined on Linux only"


def test_without_sandlock_nothing_is_confined(monkeypatch):
    monkeypatch.setitem(sys.modules, "sandlock", None)

    assert "sandlock can't be loaded" in str(capability.obstacle())


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (-1, "this kernel has no Landlock, and full Python needs version 4 (Linux 6.7) or later"),
        (3, "this kernel has Landlock 3, and full Python needs version 4 (Linux 6.7) or later"),
        (4, None),
        (6, None),
        (9, None),
    ],
)
def test_the_kernel_must_be_able_to_refuse_connections(landlock, version, said):
    landlock(version)

    assert capability.obstacle() == said


@pytest.mark.parametrize(("version", "helped"), [(4, True), (5, True), (6, False), (7, False)])
def test_what_an_older_landlock_lacks_is_refused_call_by_call(landlock, version, helped):
    landlock(version)

    policy = capability.policy(256, 4)

    assert bool(policy.allow_degraded) is helped
    assert ({"kill", "pidfd_getfd"} <= set(policy.extra_deny_syscalls)) is helped


def test_nothing_can_be_written_and_nothing_reached():
    policy = capability.policy(256, 4)

    assert list(policy.fs_writable) == []
    assert list(policy.net_allow) == list(policy.net_allow_bind) == []
    assert policy.clean_env
    assert (policy.max_memory, policy.max_processes) == (256 * 1024 * 1024, 4)


def test_only_python_and_this_package_are_readable():
    readable = {Path(path) for path in capability.policy(256, 4).fs_readable}

    assert Path(capability.interpreter()) in readable
    assert Path(capability.__file__).parent in readable
    assert not readable & {
        Path("/"),
        Path("/usr"),
        Path("/etc"),
        Path("/home"),
        Path("/tmp"),
        ROOT,
        ROOT / "src",
    }


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_old_names_of_calls_are_refused_where_there_are_any(monkeypatch, machine):
    monkeypatch.setattr(capability.platform, "machine", lambda: machine)

    refused = set(capability.policy(256, 4).extra_deny_syscalls)

    assert {"fchmodat", "utimensat", "memfd_create"} <= refused
    assert ("chmod" in refused) is (machine == "x86_64")


def test_places_that_this_user_may_not_see_are_left_out(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere/lib-dynload"])

    readable = capability.policy(256, 4).fs_readable

    assert "/nowhere/lib-dynload" not in readable
    assert any(path.endswith("lib-dynload") for path in readable)
