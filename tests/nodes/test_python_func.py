"""The node around the sandbox: what it refuses when saved, hands on when run, and checks afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rowel.core.errors import Invalid, NodeFailed
from rowel.core.outcomes import Done
from rowel.nodes.builtin.python_func import PythonFuncNode
from rowel.nodes.clients.sandbox import PooledSandbox
from rowel.nodes.context import Context
from tests.support.contexts import make_context, make_services
from tests.support.nodes import build, outcome_of, problems_of


class FakeSandbox:
    """Answers every call alike and remembers what it was asked."""

    def __init__(self, result: dict[str, Any] | None = None, printed: tuple[str, ...] = ()) -> None:
        self.result = result or {}
        self.printed = printed
        self.asked: list[tuple[str, Mapping[str, Any], float]] = []

    async def inspect(self, code: str) -> str:
        if "ctypes" in code:
            raise Invalid("this code needs full Python")
        return "monty"

    async def call(
        self,
        code: str,
        input_model: Mapping[str, Any],
        timeout_s: float,
        *,
        log: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        self.asked.append((code, input_model, timeout_s))
        for line in self.printed:
            if log is not None:
                log(line)
        return self.result


def context_with(sandbox: Any, **changes: Any) -> Context:
    return make_context(make_services(sandbox=sandbox), **changes)


async def run(result: dict[str, Any], **config: Any) -> Any:
    """The node's outcome when its code returns `result`."""
    return await outcome_of(
        build(PythonFuncNode, code="return {}", **config), {}, context_with(FakeSandbox(result))
    )


async def test_the_code_gets_the_inputs_and_the_tasks_time():
    sandbox = FakeSandbox({"x": 1})
    node = build(PythonFuncNode, code="return {'x': input_model.A.x}")

    outcome = await outcome_of(node, {"A": {"x": 1}}, context_with(sandbox, timeout_s=7.0))

    assert outcome == Done({"x": 1})
    assert sandbox.asked == [("return {'x': input_model.A.x}", {"A": {"x": 1}}, 7.0)]


async def test_what_the_code_prints_is_kept_with_the_task():
    context = context_with(FakeSandbox(printed=("one", "two")))

    await outcome_of(build(PythonFuncNode, code="print('one')"), {}, context)

    assert context.logs == ["one", "two"]


async def test_without_a_schema_any_object_is_fine():
    assert await run({"anything": [1]}) == Done({"anything": [1]})


async def test_outputs_that_fit_the_schema_pass_unconverted():
    assert await run({"n": 1, "more": "2"}, output_schema={"n": "float"}) == Done({"n": 1, "more": "2"})


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"output_schema": {"n": "int", "name": "str"}}, "field 'name' is missing"),
        ({"output_schema": {"n": "str", "name": "str"}}, "n"),
        ({"output_json_schema": '{"type": "object", "required": ["total"]}'}, "total"),
        (
            {
                "output_json_schema": '{"properties": {"n": {"type": "string"}}}',
                "output_schema": {"n": "int"},
            },
            "n",
        ),
    ],
)
async def test_outputs_that_do_not_fit_the_schema_fail_the_node(schema, message):
    with pytest.raises(NodeFailed, match=f"doesn't fit the output schema: .*{message}"):
        await run({"n": 5}, **schema)


async def test_enforce_schema_false_lifts_the_check():
    assert await run({"n": 5}, output_schema={"n": "str"}, enforce_schema=False) == Done({"n": 5})


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = 1\nreturn x x", "code: line 2: invalid syntax"),
        ("await x", "code: line 1: await is not possible outside a function of your own"),
        ("x = '\0'", "code: code must not contain NUL characters"),
        ("#" * (1024 * 1024 + 1), "code: code is larger than 1024 KiB"),
        ("(" * 500, "code: line 1: too many nested parentheses"),
    ],
)
def test_code_that_cannot_run_is_a_problem(code, problem):
    assert problems_of(PythonFuncNode, code=code) == [problem]


@pytest.mark.parametrize("code", ["", "return {}", "#" * (1024 * 1024), "  x = 1\n  return {'x': x}"])
def test_code_that_parses_is_none(code):
    assert problems_of(PythonFuncNode, code=code) == []


def test_code_is_text():
    assert problems_of(PythonFuncNode, code=5) != []


def test_a_schema_that_is_none_is_a_problem():
    assert problems_of(PythonFuncNode, code="return {}", output_json_schema="{") != []


async def test_its_author_is_told_which_engine_runs_it():
    node = build(PythonFuncNode, code="return {}")

    assert await node.inspect(make_services(sandbox=FakeSandbox())) == {"sandbox": "monty"}


async def test_code_that_nothing_here_can_run_is_refused_when_saved():
    node = build(PythonFuncNode, code="import ctypes")

    with pytest.raises(Invalid, match="code: this code needs full Python"):
        await node.inspect(make_services(sandbox=FakeSandbox()))


def test_thirty_seconds_are_its_usual_time():
    assert PythonFuncNode.default_timeout_s == 30.0
    assert PythonFuncNode.category == "Code"


async def test_node_and_sandbox_work_together():
    sandbox = PooledSandbox(max_processes=1)
    context = context_with(sandbox)
    node = build(
        PythonFuncNode, code="print('hi')\nreturn {'n': len(input_model.A.words)}", output_schema={"n": "int"}
    )
    try:
        assert await node.inspect(context.services) == {"sandbox": "monty"}
        assert await outcome_of(node, {"A": {"words": ["a", "b"]}}, context) == Done({"n": 2})
    finally:
        await sandbox.close()
    assert context.logs == ["hi"]
