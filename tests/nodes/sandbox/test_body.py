"""A function body as it is read and rewritten, without any engine."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.nodes.clients.sandbox import syntax_problem
from rowel.nodes.clients.sandbox.answers import accept
from rowel.nodes.clients.sandbox.guest import body, runtime
from rowel.nodes.clients.sandbox.monty import Unsupported, prepare


def rewritten(code: str) -> str:
    written = ast.unparse(body.function(body.parse(code)))
    return textwrap.dedent(written.partition("\n")[2])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a.b", "_rowel_field(a, 'b')"),
        ("a.b.c", "_rowel_field(_rowel_field(a, 'b'), 'c')"),
        ("a.b()", "a.b()"),
        ("a.b.c()", "_rowel_field(a, 'b').c()"),
        ("a().b", "_rowel_field(a(), 'b')"),
        ("a[0].b", "_rowel_field(a[0], 'b')"),
        ("f(a.b, *c.d, k=e.f)", "f(_rowel_field(a, 'b'), *_rowel_field(c, 'd'), k=_rowel_field(e, 'f'))"),
        ("a.b = c.d", "a.b = _rowel_field(c, 'd')"),
        ("a.b.c = 1", "_rowel_field(a, 'b').c = 1"),
        ("a.b += 1", "a.b += 1"),
        ("del a.b", "del a.b"),
        ("self.b", "self.b"),
        ("a.__class__", "a.__class__"),
        ("a._b", "_rowel_field(a, '_b')"),
        ("import a\na.b.c", "import a\na.b.c"),
        ("import a.x as y\ny.z\na.z", "import a.x as y\ny.z\n_rowel_field(a, 'z')"),
        ("from a import b\nb.c", "from a import b\nb.c"),
        ("x: a.b = c.d", "x: a.b = _rowel_field(c, 'd')"),
        ("a.model_dump()", "_rowel_dump(a)"),
        ("a.b.model_dump(mode='json')", "_rowel_dump(_rowel_field(a, 'b'), mode='json')"),
        ("a.model_dump_json()", "_rowel_dump_json(a)"),
        ("getattr(a, 'b')", "_rowel_getattr(a, 'b')"),
        ("print(a.b)", "_rowel_print(_rowel_field(a, 'b'))"),
        ("print = 1\nprint", "print = 1\nprint"),
        (
            "[a.b for a in c.d if a.e]",
            "[_rowel_field(a, 'b') for a in _rowel_field(c, 'd') if _rowel_field(a, 'e')]",
        ),
        ("lambda a: a.b", "lambda a: _rowel_field(a, 'b')"),
    ],
)
def test_reads_of_attributes_become_reads_of_fields(code, expected):
    assert rewritten(code) == expected


def test_patterns_stay_as_they_are():
    cases = ["c.d", "e.F(x=g.h)", "{i.j: 1}", "[k.l, *_]"]
    code = "match a.b:" + "".join(f"\n    case {case}:\n        pass" for case in cases)

    assert rewritten(code) == code.replace("match a.b", "match _rowel_field(a, 'b')")


def test_lines_stay_where_their_author_sees_them():
    module = body.function(body.parse("\n\nx = a.b\n\n\ny = c.d"))

    assert [node.lineno for node in ast.walk(module) if isinstance(node, ast.Assign)] == [3, 6]
    compile(module, "test", "exec")


def test_a_body_may_be_indented_as_a_whole():
    assert syntax_problem("    x = 1\n    return x") is None


def test_an_empty_body_returns_nothing():
    assert rewritten("# nothing yet") == "pass"


def test_text_over_several_lines_keeps_its_indentation():
    scope: dict[str, object] = {}
    exec(compile(body.function(body.parse('return """a\n  b\nc"""')), "test", "exec"), scope)

    assert scope[body.FUNCTION](None) == "a\n  b\nc"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = = 1", "line 1: invalid syntax"),
        ("\n\nif True\n    pass", "line 3: expected ':'"),
        ("def f():\n    await g()", None),
        ("async def f():\n    await g()\n    async for x in y:\n        yield x", None),
        ("if 1:\n    await g()", "line 2: await is not possible outside a function of your own"),
        ("x = [(yield)]", "line 1: yield is not possible outside a function of your own"),
        ("def f():\n    yield 1", None),
        ("f = lambda: (yield)", None),
        (
            "x = 1\nasync with a:\n    pass",
            "line 2: async with is not possible outside a function of your own",
        ),
        ("from os import *", "line 1: import * is not possible outside a function of your own"),
        ('x = "\\d"', None),
        ("x = 1\0", "source code string cannot contain null bytes"),
        ("return", None),
        ("", None),
    ],
)
def test_syntax_is_judged_as_that_of_a_function_body(code, problem):
    assert syntax_problem(code) == problem


@pytest.mark.parametrize(
    "code", ["(" * 10_000, "-" * 100_000 + "1", "[" * 150 + "]" * 150, "a" + ".b" * 20_000]
)
def test_code_that_is_nested_without_end_is_a_problem_and_no_crash(code):
    try:
        body.function(body.parse(code))
    except SyntaxError:
        assert syntax_problem(code) is not None


def test_every_import_is_found_however_deep():
    statements = body.parse("import a\ndef f():\n    from b import c\n    class D:\n        import e.f as g")

    assert sorted(map(ast.unparse, body.imports(statements))) == [
        "from b import c",
        "import a",
        "import e.f as g",
    ]


def test_lines_of_a_program_for_monty_are_those_of_the_code():
    code = 'x = """a\nb"""\n\n# a comment\nfor i in (1,\n          2):\n    y = [\n        i,\n    ]\n\nz = 1'
    program = prepare(code)
    written = program.text.splitlines()

    places = {text: number for number, text in enumerate(written, start=1) if number > program.offset}

    assert program.line(places["    for i in (1, 2):"]) == 5
    assert program.line(places["        y = [i]"]) == 7
    assert program.line(places["    z = 1"]) == 11
    assert program.line(program.offset) == 0


def test_what_cannot_be_written_for_monty_says_so():
    with pytest.raises(Unsupported):
        prepare("x = " + "+".join(["1"] * 950))
    with pytest.raises(Unsupported, match="lone surrogate"):
        prepare(r"x = f'{y}\ud800'")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_every_json_object_is_an_answer_and_comes_back_equal(value):
    answer = runtime._rowel_answer(value)

    assert repr(accept(answer["text"])) == repr(value)


@given(json_values.filter(lambda value: not isinstance(value, dict)))
def test_nothing_but_an_object_is_an_answer(value):
    assert "problem" in runtime._rowel_answer(value)


@given(json_values)
def test_a_dump_is_an_equal_copy(value):
    dump = runtime._rowel_dump({"value": value})

    assert repr(dump) == repr({"value": value})


def test_the_dump_of_another_object_is_its_own():
    class Model:
        def model_dump(self, mode: str) -> str:
            return f"mine, {mode}"

        def model_dump_json(self) -> str:
            return "{}"

    assert runtime._rowel_dump(Model(), mode="json") == "mine, json"
    assert runtime._rowel_dump_json(Model()) == "{}"
