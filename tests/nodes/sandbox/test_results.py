"""What code may return, and how what it may not is named."""

from __future__ import annotations

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.clients.sandbox import answers
from rowel.nodes.clients.sandbox.guest import runtime

LAWFUL = {
    "{}": {},
    "{'big': 2 ** 70, 'negative': -(10 ** 60)}": {"big": 2**70, "negative": -(10**60)},
    "{'digits': 10 ** 4299}": {"digits": 10**4299},
    "{'text': 'a' + chr(0) + 'b'}": {"text": "a\0b"},
    "{'': {'ü': '😀'}}": {"": {"ü": "😀"}},
    "{'tuple': (1, (2,))}": {"tuple": [1, [2]]},
    "{'tiny': 5e-324, 'huge': 1.7976931348623157e308}": {"tiny": 5e-324, "huge": 1.7976931348623157e308},
    "{'t': True, 'f': False, 'n': None}": {"t": True, "f": False, "n": None},
}


@pytest.mark.parametrize("result", LAWFUL)
async def test_json_values_come_back_exactly(run, result):
    returned = await run(f"return {result}")

    assert returned == LAWFUL[result]
    assert repr(returned) == repr(LAWFUL[result])


REFUSED = {
    "None": "the result is null, but a node's code returns an object",
    "[1]": "the result is a list, but",
    "5": "the result is an int, but",
    "{'a': {1}}": "a is a set, which JSON does not have",
    "{'items': [0, {'price': float('nan')}]}": r"items\[1\].price is NaN",
    "{'a b': [float('-inf')]}": r"\['a b'\]\[0\] is infinite",
    "{'a': b'bytes'}": "a is a bytes",
    "{'a': {'b': {1: 2}}}": "a key of a.b is an int, but JSON keys are text",
    "{None: 2}": "a key of the result is null, but JSON keys are text",
    "{'f': len}": "f is a builtin_function_or_method",
    "{'r': range(3)}": "r is a range",
    "{'n': 10 ** 4300}": "n is an integer of more than 4,300 digits",
    "{'text': 'x' * (4 * 1024 * 1024)}": "the result is larger than 4 MiB",
    "{'text': ['é' * 1024 * 1024] * 3}": "the result is larger than 4 MiB",
}


@pytest.mark.parametrize("result", REFUSED)
async def test_what_is_no_json_is_named_with_its_place(run, result):
    with pytest.raises(NodeFailed, match=REFUSED[result]):
        await run(f"return {result}")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("x['x'] = x", "nested deeper than 64"),
        ("for _ in range(100_000):\n    x = {'x': x}", "nested deeper than 64"),
        ("for _ in range(60):\n    x = {'x': x, 'y': x}", "larger than 4 MiB"),
        ("import datetime\nx['when'] = datetime.date(2026, 1, 2)", "when is a date"),
        ("import decimal\nx['price'] = decimal.Decimal('1.5')", "price is a Decimal"),
        ("class Thing:\n    pass\nx['thing'] = Thing()", "thing is a Thing"),
    ],
)
async def test_what_is_no_finite_tree_is_refused(run, made, message):
    with pytest.raises(NodeFailed, match=message):
        await run(f"x = {{}}\n{made}\nreturn x")


async def test_sixty_four_levels_are_allowed(run):
    result = await run("x = {}\nfor _ in range(63):\n    x = {'x': x}\nreturn x")

    for _ in range(63):
        result = result["x"]
    assert result == {}


async def test_a_lone_surrogate_is_refused(sandbox):
    with pytest.raises(NodeFailed, match=r"a\[0\] is text with a lone surrogate"):
        await sandbox.call(r"return {'a': ['\ud800']}", {}, 20.0)


async def test_a_lone_surrogate_is_refused_where_only_monty_works(on_monty):
    with pytest.raises(NodeFailed, match="lone surrogate"):
        await on_monty(r"return {'a': '\ud800'}")


#: What a process under the code's control might send instead of what the helpers would.
FORGED = {
    "": "not valid JSON",
    "[": "not valid JSON",
    "[1]": "not an object",
    "{'a': 1}": "not valid JSON",
    '{"a": NaN}': "NaN is not a JSON value",
    '{"a": 1e999}': "too large",
    '{"a": "\\ud800"}': "lone surrogate",
    '{"\\ud800": 1}': "lone surrogate",
    '{"a": ' + "[" * 64 + "]" * 64 + "}": "deeper than 64",
    "[" * 100_000: "deeper than 64",
    '{"a": ' + "9" * 4301 + "}": "4,301 digits",
    " " * (runtime.RESULT_LIMIT + 1): "too large",
}


@pytest.mark.parametrize("text", FORGED, ids=lambda text: text[:20])
def test_a_forged_answer_is_refused(text):
    with pytest.raises(NodeFailed, match=FORGED[text]):
        answers.accept(text)


def test_an_honest_answer_is_taken():
    assert answers.accept('{"a": [1, 2.5, "\\u0000", null]}') == {"a": [1, 2.5, "\0", None]}
