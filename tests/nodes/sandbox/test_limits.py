"""Time, memory, output and processes: the failure names the limit, and the server lives on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.sandbox.guest.runtime import PRINT_LIMIT
from rowel.nodes.clients.sandbox.printed import Printed

STILL_WORKS = "return {'x': input_model.A.x}"


async def assert_it_still_works(run) -> None:
    assert await run(STILL_WORKS, A={"x": 1}) == {"x": 1}


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    pass",
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        "import time\ntime.sleep(60)\nreturn {}",
        "import asyncio\nasyncio.run(asyncio.sleep(60))\nreturn {}",
        "sum(range(10 ** 12))",
    ],
    ids=["loop", "stubborn", "sleep", "async sleep", "in C"],
)
async def test_past_its_time_code_is_ended(run, code):
    with pytest.raises(NodeFailed) as failed:
        await run(code, timeout_s=0.3)

    assert failed.value.message == "the code took longer than 0.3 s"
    await assert_it_still_works(run)


async def test_time_spent_waiting_for_a_turn_is_not_counted(run):
    sleeps = [run("import time\ntime.sleep(0.8)\nreturn {}", timeout_s=1.6) for _ in range(6)]

    assert await asyncio.gather(*sleeps) == [{}] * 6


@pytest.mark.parametrize(
    "code",
    [
        "x = 'x' * 10 ** 9",
        "x = []\nwhile True:\n    x.append('y' * 100_000 + str(len(x)))",
        "x = [0]\nwhile True:\n    x += x",
        "x = 1 << 10 ** 10",
    ],
    ids=["at once", "bit by bit", "doubling", "number"],
)
async def test_past_its_memory_code_is_ended(run, code):
    with pytest.raises(NodeFailed) as failed:
        await run(code)

    assert failed.value.message == "the code needs more than 256 MiB of memory"
    await assert_it_still_works(run)


async def test_memory_given_back_is_not_counted(run):
    assert await run("for _ in range(10):\n    x = 'x' * 100_000_000\nreturn {'n': len(x)}") == {
        "n": 100_000_000
    }


async def test_children_share_the_memory_of_their_parent(on_cpython):
    code = """import os, time
children = []
for _ in range(4):
    reading, writing = os.pipe()
    if os.fork() == 0:
        block = bytearray(100 * 1024 * 1024)
        os.write(writing, b"1")
        time.sleep(60)
    os.close(writing)
    children.append(os.read(reading, 1) == b"1")
return {"all": all(children)}"""

    # The kernel of the matter is who is killed: a child (the parent sees its pipe end) or the parent itself.
    with contextlib.suppress(NodeFailed):
        assert await on_cpython(code) == {"all": False}


async def test_a_call_has_a_limited_number_of_processes(on_cpython):
    code = """import os, time
count = 0
try:
    while count < 100:
        if os.fork() == 0:
            time.sleep(60)
        count += 1
except OSError:
    pass
return {"count": count}"""

    assert 1 <= (await on_cpython(code))["count"] < 20


async def test_what_is_printed_is_kept_line_by_line(run):
    lines: list[str] = []

    await run("print('one', 2, sep='-')\nprint('three', end='')\nprint()\nreturn {}", log=lines.append)

    assert lines == ["one-2", "three"]


async def test_what_failing_code_printed_is_kept(run):
    lines: list[str] = []

    with pytest.raises(NodeFailed, match="took longer"):
        await run("print('before')\nwhile True:\n    pass", timeout_s=0.5, log=lines.append)

    assert lines == ["before"]


async def test_standard_error_is_kept_too(run):
    lines: list[str] = []

    await run("import sys\nprint('oh', file=sys.stderr)\nreturn {}", log=lines.append)

    assert lines == ["oh"]


async def test_a_flood_of_print_is_cut(run):
    lines: list[str] = []

    await run("for _ in range(20_000):\n    print('x' * 99)\nreturn {}", log=lines.append)

    assert sum(len(line) + 1 for line in lines[:-1]) <= PRINT_LIMIT + 1
    assert lines[0] == "x" * 99
    assert lines[-1] == "(more than 256 KiB were printed; the rest was dropped)"


async def test_a_flood_around_print_is_cut_too(on_cpython):
    lines: list[str] = []

    await on_cpython(
        "import sys\nfor _ in range(100):\n    sys.stdout.write('x' * 10_000)\nreturn {}", log=lines.append
    )

    assert sum(map(len, lines[:-1])) == PRINT_LIMIT


async def test_nothing_printed_reaches_the_servers_own_output(run, capfd):
    await run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nreturn {}")

    assert capfd.readouterr() == ("", "")


async def test_a_flood_past_the_helpers_ends_the_call(on_cpython):
    code = """import os
frame = b"P" + (1000).to_bytes(4, "big") + b"x" * 1000
while True:
    for number in range(3, 16):
        try:
            os.write(number, frame)
        except OSError:
            pass"""

    with pytest.raises(NodeFailed, match="sent more than a node may"):
        await on_cpython(code)


async def test_one_stuck_call_holds_up_no_other_and_no_save(sandbox):
    stuck = asyncio.create_task(sandbox.call("while True:\n    pass", {}, 60.0))
    also_stuck = asyncio.create_task(sandbox.call("while True:\n    pass", {}, 60.0))
    await asyncio.sleep(0)

    assert await sandbox.inspect("x = 2\nreturn {'x': x}") == "monty"
    assert await sandbox.inspect("import statistics\nreturn {'x': 2}") == "cpython"

    for call in (stuck, also_stuck):
        call.cancel()
    await asyncio.gather(stuck, also_stuck, return_exceptions=True)


def test_more_than_may_be_printed_is_not_even_kept():
    printed = Printed()
    lines: list[str] = []

    for _ in range(3):
        printed.write("x" * PRINT_LIMIT)
    printed.hand_to(lines.append)

    assert [len(line) for line in lines] == [PRINT_LIMIT, 54]
