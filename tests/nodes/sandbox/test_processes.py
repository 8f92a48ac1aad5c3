"""When processes start, what ends them, and that nothing passes from one call to the next."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.sandbox import PooledSandbox
from rowel.nodes.clients.sandbox.guest import confined
from tests.support.processes import descendants, eventually
from tests.support.source import ROOT

FULL = "import statistics\n"
FORKING = FULL + "import os, time\nif os.fork() == 0:\n    time.sleep(60)\ntime.sleep(60)\nreturn {}"


async def test_nothing_starts_before_the_first_call():
    sandbox = PooledSandbox()
    try:
        assert descendants() == set()
    finally:
        await sandbox.close()


def test_importing_the_sandbox_loads_no_engine():
    program = "import sys, rowel.nodes.clients.sandbox as _; print({'sandlock', 'pydantic_monty'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "src", capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"


async def test_closing_ends_every_process(sandbox):
    await sandbox.call("return {}", {}, 20.0)
    await sandbox.call(FULL + "return {}", {}, 20.0)

    await sandbox.close()

    assert descendants() == set()


async def test_idle_processes_are_let_go_and_come_back(confinement):
    sandbox = PooledSandbox(max_processes=2, idle_s=0.05)
    try:
        for _ in range(2):
            assert await sandbox.call("return {'x': 1}", {}, 20.0) == {"x": 1}
            assert await sandbox.call(FULL + "return {'x': 2}", {}, 20.0) == {"x": 2}
            await eventually(lambda: descendants() == set())
    finally:
        await sandbox.close()


async def test_spare_processes_wait_for_the_next_call(confinement):
    sandbox = PooledSandbox(max_processes=2, spare_processes=2)
    try:
        await sandbox.inspect(FULL + "return {}")
        await eventually(lambda: len(_pythons()) == 2)
        await sandbox.call(FULL + "return {}", {}, 20.0)
        await eventually(lambda: len(_pythons()) == 2)
    finally:
        await sandbox.close()


async def test_a_spare_process_starts_once_a_call_has_ended_and_not_beside_it(confinement):
    sandbox = PooledSandbox(max_processes=2, spare_processes=1)
    try:
        await sandbox.inspect(FORKING)
        await eventually(lambda: len(sandbox._cpython._spares) == 1)
        call = asyncio.create_task(sandbox.call(FORKING, {}, 60.0))
        await eventually(lambda: len(_pythons()) == 2)
        assert not sandbox._cpython._spares

        call.cancel()

        await eventually(lambda: len(sandbox._cpython._spares) == 1)
    finally:
        await sandbox.close()


def test_while_no_call_is_there_what_is_often_imported_is_loaded(monkeypatch):
    loaded = []
    monkeypatch.setattr(importlib, "import_module", loaded.append)
    source, sink = os.pipe()
    with os.fdopen(source, "rb"), os.fdopen(sink, "wb", buffering=0) as writing:
        confined._load_ahead(source)
        assert loaded == list(confined._OFTEN_IMPORTED)

        loaded.clear()
        writing.write(b"a call")
        confined._load_ahead(source)
        assert loaded == []


async def test_a_spare_process_that_died_harms_no_call(confinement):
    sandbox = PooledSandbox(max_processes=2, spare_processes=1)
    try:
        await sandbox.inspect(FULL + "return {}")
        await eventually(lambda: len(_pythons()) == 1)
        for pid in _pythons():
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not _pythons())

        assert await sandbox.call(FULL + "return {'x': 1}", {}, 20.0) == {"x": 1}
    finally:
        await sandbox.close()


async def test_canceling_ends_the_work_and_all_it_started(sandbox):
    call = asyncio.create_task(sandbox.call(FORKING, {}, 60.0))
    await eventually(lambda: len(_pythons()) == 2)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: not _pythons(), within_s=5)


async def test_canceling_ends_the_work_in_monty(on_monty):
    call = asyncio.create_task(on_monty("while True:\n    pass", timeout_s=60.0))
    busy: list[int] = []

    def is_at_work() -> bool:
        busy[:] = [pid for pid in descendants() if _is_busy(pid)]
        return len(busy) == 1

    await eventually(is_at_work)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: busy[0] not in descendants(), within_s=5)
    assert await on_monty("return {}") == {}


async def test_canceled_while_it_waits_for_its_turn_a_call_leaves_nothing(sandbox):
    slow = [asyncio.create_task(sandbox.call(FORKING, {}, 60.0)) for _ in range(2)]
    await eventually(lambda: len(_pythons()) == 4)
    waiting = asyncio.create_task(sandbox.call(FULL + "return {}", {}, 60.0))
    await asyncio.sleep(0)

    for call in (waiting, *slow):
        call.cancel()
    await asyncio.gather(waiting, *slow, return_exceptions=True)

    await eventually(lambda: not _pythons(), within_s=5)
    assert await sandbox.call(FULL + "return {}", {}, 20.0) == {}


@pytest.mark.parametrize(
    "left_running",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
        "import os, time\nif os.fork() == 0:\n    time.sleep(60)",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.fork()\n    time.sleep(60)",
        "import atexit, time\natexit.register(time.sleep, 60)",
        "import time\nclass Slow:\n    def __del__(self):\n        time.sleep(60)\nglobal slow\nslow = Slow()",
    ],
    ids=["a thread", "a child", "a daemon", "an exit handler", "a destructor"],
)
async def test_a_call_ends_when_its_function_returns_and_with_it_what_it_left_running(
    on_cpython, left_running
):
    assert await on_cpython(f"{left_running}\nreturn {{'x': 1}}", timeout_s=15.0) == {"x": 1}

    await eventually(lambda: descendants() == set(), within_s=5)


BLEEDING = [
    ("import json\njson.leak = 1", "import json\nreturn {'x': hasattr(json, 'leak')}"),
    ("global leak\nleak = 1", "try:\n    return {'x': leak > 0}\nexcept NameError:\n    return {'x': False}"),
    ("import math\nmath.pi = 3", "import math\nreturn {'x': math.pi == 3}"),
    ("global len\nlen = 5", "return {'x': len == 5}"),
    ("input_model.A.list.append(1)", "return {'x': len(input_model.A.list) > 0}"),
    ("print('leak', end='')", "return {'x': False}"),
]


@pytest.mark.parametrize(("leave", "look"), BLEEDING, ids=[leave[:20] for leave, _ in BLEEDING])
async def test_no_state_passes_between_calls(run, leave, look):
    inputs: dict[str, list[int]] = {"list": []}
    lines: list[str] = []
    for _ in range(2):
        with contextlib.suppress(NodeFailed):
            await run(f"{leave}\nreturn {{}}", A=inputs)

    assert await run(look, A=inputs, log=lines.append) == {"x": False}
    assert inputs == {"list": []}
    assert lines == []


async def test_a_killed_monty_process_is_replaced(on_monty):
    await on_monty("return {}")
    for pid in descendants():
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: descendants() == set())

    results = await asyncio.gather(*(on_monty("return {'x': 1}") for _ in range(4)), return_exceptions=True)

    assert results[-1] == {"x": 1}
    assert await on_monty("return {'x': 2}") == {"x": 2}


async def test_many_calls_leave_no_descriptors_and_no_threads(sandbox):
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    async def use() -> tuple[int, int]:
        for _ in range(3):
            await asyncio.gather(*(sandbox.call(FULL + "return {}", {}, 20.0) for _ in range(2)))
            await sandbox.call("return {}", {}, 20.0)
        await eventually(lambda: not _pythons())
        return held()

    await use()
    files, threads = await use()
    await use()

    # A spare process may just begin; it goes when nobody asks for it.
    await eventually(lambda: held()[0] <= files and held()[1] <= threads)


COMMAND = """
import asyncio, sys
from rowel.nodes.clients.sandbox import PooledSandbox

async def main():
    sandbox = PooledSandbox()
    print(await sandbox.call("return {'x': 1}", {}, 20.0))
    if "full" in sys.argv:
        print(await sandbox.call("import statistics\\nreturn {'x': 2}", {}, 20.0))
    if "close" in sys.argv:
        await sandbox.close()

if "uvloop" in sys.argv:
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize(
    "arguments", [["close"], ["close", "full"], ["close", "full", "uvloop"], []], ids=" ".join
)
def test_a_short_command_ends_with_exit_code_0(confinement, arguments):
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(COMMAND), *arguments]
    started = [
        subprocess.Popen(command, cwd=ROOT / "src", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [(process.communicate(timeout=60), process.returncode) for process in started]

    said = "{'x': 1}\n{'x': 2}\n" if "full" in arguments else "{'x': 1}\n"
    assert ends == [((said, ""), 0)] * 4


def _pythons() -> set[int]:
    """The confined processes that are up: those that run Python, not Monty."""
    return {pid for pid in descendants() if b"guest.confined" in _command(pid)}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_busy(pid: int) -> bool:
    """Whether one of the process's threads is computing."""
    try:
        return any(
            (task / "stat").read_text().rpartition(")")[2].split()[0] == "R"
            for task in Path(f"/proc/{pid}/task").iterdir()
        )
    except OSError:
        return False
