"""How a failure reads: what was raised first, then where in the author's own lines."""

from __future__ import annotations

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.sandbox import failures


async def failure(run, code, **inputs) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await run(code, **inputs)
    return failed.value


async def test_the_message_is_type_and_text(run):
    assert (await failure(run, 'raise ValueError("bad date")')).message == "ValueError: bad date"


async def test_an_exception_without_text_is_its_type(run):
    assert (await failure(run, "raise ValueError")).message == "ValueError"


async def test_a_type_in_a_module_goes_without_the_module(run):
    message = (await failure(run, "import json\njson.loads('[')")).message

    assert message.startswith("JSONDecodeError: ")
    assert "line 1 column" in message


async def test_the_trace_has_the_authors_lines_and_nothing_of_rowels(run):
    code = '''def parse(text):
    parts = text.split("-")
    return int(parts[0])

heading = """two
lines"""
for day in input_model.A.days:
    parse(day)
return {}'''

    failed = await failure(run, code, A={"days": ["1-2", "x-3"]})

    assert failed.message == "ValueError: invalid literal for int() with base 10: 'x'"
    assert failed.trace == "line 8\n    parse(day)\nline 3, in parse\n    return int(parts[0])"


async def test_an_attribute_error_in_a_field_read_ends_in_the_authors_line(run):
    failed = await failure(run, "x = 1\ny = input_model.A.missing\nreturn {}", A={})

    assert failed.trace == "line 2\n    y = input_model.A.missing"


async def test_a_result_that_is_none_has_no_trace(run):
    assert (await failure(run, "return {'a': {1}}")).trace is None


async def test_recursion_without_end_is_named(run):
    failed = await failure(run, "def f(n):\n    return f(n + 1)\nreturn f(0)")

    assert failed.message.startswith("RecursionError: maximum recursion depth exceeded")
    assert failed.trace is not None
    assert len(failed.trace.splitlines()) <= 16


async def test_text_that_cannot_be_stored_is_made_readable(on_cpython):
    failed = await failure(on_cpython, r'raise ValueError("nul \x00 surrogate \ud800")')

    assert failed.message == r"ValueError: nul \x00 surrogate \ud800"


async def test_endless_text_is_cut(run):
    failed = await failure(run, 'raise ValueError("x" * 1_000_000)')

    assert len(failed.message) < 2_100
    assert failed.message.endswith("...")


async def test_an_exception_that_cannot_even_be_told_is_told(on_cpython):
    code = """class Broken(Exception):
    def __str__(self):
        raise RuntimeError

raise Broken"""

    assert (await failure(on_cpython, code)).message == "Broken"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("input()", "EOFError"),
        ("import os\nos._exit(3)", r"the code ended Python \(exit code 3\) before its function returned"),
        ("import ctypes\nctypes.string_at(0)", r"the code crashed Python \(SIGSEGV\)"),
        ("import os, time\nos.closerange(0, 64)\ntime.sleep(60)", "cut its connection"),
    ],
)
async def test_leaving_in_another_way_is_a_failure_too(on_cpython, code, message):
    with pytest.raises(NodeFailed, match=message):
        await on_cpython(code)


async def test_code_that_does_not_parse_fails_with_its_line(run):
    with pytest.raises(NodeFailed, match="line 2: "):
        await run("x = 1\nx = = 2")


@pytest.mark.parametrize(
    "frames",
    [
        b"RESULT",
        b"E\x00\x00\x00\x02{}",
        b"E\x00\x00\x00\x01[",
        b"A\xff\xff\xff\xff",
        b"A\x00\x00\x00\x02[]",
        b"X\x00\x00\x00\x02\xff\xff",
        b"P\x00\x00\x00\x01x" * 2 + b"Q\x00\x00\x00\x00",
    ],
)
async def test_a_forged_message_is_only_a_failure(on_cpython, frames):
    code = f"""import os
for number in range(3, 64):
    try:
        os.write(number, {frames!r})
    except OSError:
        pass
os._exit(0)"""

    with pytest.raises(NodeFailed):
        await on_cpython(code)


def test_a_trace_of_lines_that_are_not_there_is_short():
    assert failures.raised("E", "", [(0, ""), (99, "f")], "x = 1").trace == "line 0\nline 99, in f"
