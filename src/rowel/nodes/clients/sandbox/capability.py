"""What this machine can do: whether CPython can be confined here, and how."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandlock import Sandbox  # type: ignore[import-untyped]  # it ships no types

#: Landlock's version from which on it confines by itself all that matters here (Linux 6.12).
FULL_ABI = 6
#: The version from which on TCP can be refused (Linux 6.7). What is missing up to `FULL_ABI` seccomp refuses instead.
LEAST_ABI = 4

#: What Landlock lets through: the marks on files (not their content), and watching them.
_MARKS: tuple[str, ...] = (
    "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "utimensat", "file_setattr", "flock",
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "getxattr", "lgetxattr", "fgetxattr", "getxattrat", "listxattr", "llistxattr", "flistxattr",
    "listxattrat", "inotify_init1", "inotify_add_watch", "fanotify_init", "name_to_handle_at", "open_by_handle_at",
)  # fmt: skip
#: The same by their older names, which only the x86 family has.
_OLD_MARKS: tuple[str, ...] = (
    "chmod", "chown", "lchown", "utime", "utimes", "futimesat", "inotify_init",
)  # fmt: skip
#: Memory that nobody counts, what would outlive the process, and doors to the kernel that no node needs.
_DOORS: tuple[str, ...] = (
    "memfd_create", "memfd_secret", "shmget", "msgget", "semget", "mq_open", "add_key", "request_key", "keyctl",
    "io_uring_setup", "userfaultfd", "perf_event_open", "bpf",
)  # fmt: skip
#: How other processes are reached, where Landlock doesn't refuse it.
_SIGNALS = (
    "kill", "tkill", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
)  # fmt: skip
_X86 = {"x86_64", "AMD64", "i686"}
_OPEN_FILES = 64


def obstacle() -> str | None:
    """Why CPython can't be confined on this machine, as a clause; None where nothing speaks against it."""
    if sys.platform != "linux":
        return "full Python can be confined on Linux only"
    try:
        import sandlock
    except (ImportError, OSError) as error:
        return f"sandlock can't be loaded: {error}"
    abi = sandlock.landlock_abi_version()
    if abi < LEAST_ABI:
        found = f"Landlock {abi}" if abi > 0 else "no Landlock"
        return f"this kernel has {found}, and full Python needs version {LEAST_ABI} (Linux 6.7) or later"
    return None


def interpreter() -> str:
    """The Python that confined processes run, by its own path rather than that of a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def policy(memory_mib: int, processes: int) -> Sandbox:
    """What one confined process may do: read Python itself, compute, and start a few processes like it."""
    import sandlock

    options: dict[str, Any] = {}
    refused = _MARKS + _DOORS
    if platform.machine() in _X86:
        refused += _OLD_MARKS
    if sandlock.landlock_abi_version() < FULL_ABI:
        protection = sandlock.Protection
        options["allow_degraded"] = [
            protection.FS_IOCTL_DEV, protection.SIGNAL_SCOPE, protection.ABSTRACT_UNIX_SOCKET_SCOPE,
        ]  # fmt: skip
        refused += _SIGNALS
    return sandlock.Sandbox(
        fs_readable=sorted(set(_readable())),
        extra_deny_syscalls=refused,
        max_memory=memory_mib * 1024 * 1024,
        max_processes=processes,
        max_open_files=_OPEN_FILES,
        clean_env=True,
        env={"LANG": "C.UTF-8", "TZ": "UTC"},
        cwd="/",
        no_coredump=True,
        **options,
    )


def _readable() -> Iterator[str]:
    """The interpreter, its library, what both link to, time zones, and this package."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    places = [
        interpreter(),
        os.path.dirname(os.path.realpath(os.__file__)),
        *(path for path in sys.path if path.endswith("lib-dynload")),
        "/lib64",
        "/usr/lib64",
        *(os.path.join(root, multiarch) for root in ("/lib", "/usr/lib")),
        "/usr/share/zoneinfo",
        os.path.dirname(os.path.realpath(__file__)),
    ]
    if sys.base_prefix != "/usr":
        places.append(os.path.join(sys.base_prefix, "lib"))
    yield from filter(os.path.exists, places)
