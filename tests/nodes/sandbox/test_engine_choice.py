"""Which engine runs what, and what is refused."""

from __future__ import annotations

import pytest

from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.clients.sandbox.cpython import CPython
from rowel.nodes.clients.sandbox.process import NotConfined

MONTY = [
    "return {}",
    "import json, re, math\nreturn {}",
    "from datetime import datetime, timedelta\nreturn {}",
    "def f():\n    import json\n    return json\nreturn {}",
    "",
]
CPYTHON = [
    "import statistics\nreturn {}",
    "def f():\n    import statistics\nreturn {}",
    "from collections import OrderedDict\nreturn {}",
    "class A:\n    pass\nclass B(A):\n    pass\nreturn {}",
    "def f():\n    yield 1\nreturn {}",
    "try:\n    import numpy\nexcept ImportError:\n    numpy = None\nreturn {'numpy': numpy}",
    r"return {'x': '\ud800'}",
]


@pytest.mark.parametrize("code", MONTY)
async def test_monty_is_the_choice_for_what_it_has(sandbox, code):
    assert await sandbox.inspect(code) == "monty"


@pytest.mark.parametrize("code", CPYTHON)
async def test_cpython_is_the_choice_for_what_monty_lacks(sandbox, code):
    assert await sandbox.inspect(code) == "cpython"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = = 1", "line 1: invalid syntax"),
        ("x = 1\nif x:\nreturn {}", "line 3: expected an indented block"),
        ("return {}\n\nawait x", "line 3: await is not possible"),
        ("yield 1", "line 1: yield is not possible"),
        ("from json import *", r"line 1: import \* is not possible"),
        ("import statistics\nnonlocal x\nreturn {}", "line 2: no binding for nonlocal 'x' found"),
        ("x = '\0'", "null byte"),
        ("(" * 1000, "line 1: too many nested parentheses"),
    ],
)
async def test_what_is_no_function_body_is_refused_with_its_line(sandbox, code, message):
    with pytest.raises(Invalid, match=message):
        await sandbox.inspect(code)


async def test_where_the_kernel_cannot_confine_such_code_is_refused(no_cpython, bare_sandbox):
    with pytest.raises(Invalid, match=r"needs full Python.*No module named 'statistics'.*has no Landlock"):
        await bare_sandbox.inspect("import statistics\nreturn {}")


async def test_such_code_never_runs_bare(no_cpython, bare_sandbox, tmp_path):
    trace = tmp_path / "trace"

    with pytest.raises(NodeFailed, match="needs full Python"):
        await bare_sandbox.call(f"import statistics\nopen({str(trace)!r}, 'w')\nreturn {{}}", {}, 20.0)

    assert not trace.exists()


async def test_without_any_engine_everything_is_refused(no_cpython, no_monty, bare_sandbox):
    with pytest.raises(Invalid, match=r"not for this machine; this kernel has no Landlock"):
        await bare_sandbox.inspect("return {}")


LATE = "import json\nreturn {'text': json.dumps({1}, default=list)}"


async def test_a_failure_of_montys_own_is_made_good_by_cpython_and_remembered(sandbox):
    assert await sandbox.inspect(LATE) == "monty"

    assert await sandbox.call(LATE, {}, 20.0) == {"text": "[1]"}

    assert await sandbox.inspect(LATE) == "cpython"


async def test_a_failure_of_the_code_stays_one_and_monty_stays_the_choice(sandbox):
    code = "return {'x': 1 / input_model.A}"

    with pytest.raises(NodeFailed, match="ZeroDivisionError: division by zero"):
        await sandbox.call(code, {"A": 0}, 20.0)

    assert await sandbox.inspect(code) == "monty"
    assert await sandbox.call(code, {"A": 2}, 20.0) == {"x": 0.5}


async def test_where_cpython_cannot_confirm_montys_word_stands(on_monty):
    with pytest.raises(NodeFailed, match=r"TypeError: .*default") as failed:
        await on_monty(LATE)

    assert failed.value.trace == "line 2\n    return {'text': json.dumps({1}, default=list)}"


async def test_a_limit_is_not_tried_again(sandbox, monkeypatch):
    async def call(*_: object) -> None:
        raise AssertionError("CPython was asked")

    monkeypatch.setattr(CPython, "call", call)

    with pytest.raises(NodeFailed, match="took longer than"):
        await sandbox.call("while True:\n    pass", {}, 0.2)
    with pytest.raises(NodeFailed, match="needs more than 256 MiB"):
        await sandbox.call("return {'x': len('x' * 10 ** 9)}", {}, 20.0)
    with pytest.raises(NodeFailed, match="RecursionError"):
        await sandbox.call("def f():\n    return f()\nf()", {}, 20.0)


async def test_what_a_first_attempt_printed_is_told_once(sandbox):
    lines: list[str] = []

    await sandbox.call(f"print('here')\n{LATE}", {}, 20.0, log=lines.append)

    assert lines == ["here"]


async def test_a_process_that_is_not_confined_gets_no_code(on_cpython, monkeypatch):
    def not_confined(self: object) -> None:
        raise NotConfined("a confined process was not refused files")

    monkeypatch.setattr("rowel.nodes.clients.sandbox.process.ConfinedProcess.wait_until_ready", not_confined)

    with pytest.raises(NodeFailed, match="was not refused files"):
        await on_cpython("return {}")


def test_a_machine_tells_what_it_can_do(sandbox):
    assert sandbox.describe() == {"monty": "works", "cpython": "works"}


def test_and_what_it_cannot(no_cpython, no_monty, bare_sandbox):
    assert bare_sandbox.describe() == {
        "monty": "does not work: Monty can't be loaded: not for this machine",
        "cpython": "does not work: this kernel has no Landlock",
    }
