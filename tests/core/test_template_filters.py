"""Each filter and test that a template has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import Invalid
from rowel.core.templates import Template
from rowel.core.templating.filters import FILTERS, TESTS

PEOPLE = [
    {"name": "Bo", "age": 3, "in": {"x": 1}},
    {"name": "ann", "age": 5, "in": {"x": 2}},
    {"name": "Cy", "age": 3, "in": {}},
]


def render(expression, **values):
    return Template("{{ " + expression + " }}").render({"people": PEOPLE, **values})


EXAMPLES = [
    ("-5|abs", "5"),
    ("[1,2,3]|batch(2)", "[[1, 2], [3]]"),
    ("[1,2,3]|batch(2, 0)", "[[1, 2], [3, 0]]"),
    ("'ab c'|capitalize", "Ab c"),
    ("'a'|center(3)", " a "),
    ("[1,2]|count", "2"),
    ("nope|d('x')", "x"),
    ("nope|default('x')", "x"),
    ("''|default('x', true)", "x"),
    ("{'b': 1, 'a': 2}|dictsort", '[["a", 2], ["b", 1]]'),
    ("'<a href=\"x\">'|e", "&lt;a href=&#34;x&#34;&gt;"),
    ("'<'|escape", "&lt;"),
    ("1000|filesizeformat", "1.0 kB"),
    ("[1,2]|first", "1"),
    ("'1.5'|float", "1.5"),
    ("'%s and %03d'|format('a', 7)", "a and 007"),
    ("'%(a)s'|format(a=[1])", "[1]"),
    ("'%.2f %%'|format(1.239)", "1.24 %"),
    ("'[1, {\"a\": null}]'|from_json", '[1, {"a": null}]'),
    ("('{\"a\": 5}'|fromjson).a", "5"),
    ("[1]|from_json", "[1]"),
    ("(people|groupby('age'))[0].grouper", "3"),
    ("(people|groupby('age'))[0].list|map(attribute='name')|join", "BoCy"),
    ("'a\n\nb'|indent(2)", "a\n\n  b"),
    ("'a\n\nb'|indent(2, true, true)", "  a\n  \n  b"),
    ("'a\nb'|indent('> ')", "a\n> b"),
    ("'7'|int", "7"),
    ("'x'|int(9)", "9"),
    ("{'a': 1}|items", '[["a", 1]]'),
    ("[1,'a',[2]]|join(', ')", "1, a, [2]"),
    ("people|join('-', attribute='name')", "Bo-ann-Cy"),
    ("[1,2]|last", "2"),
    ("'abc'|length", "3"),
    ("'ab'|list", '["a", "b"]'),
    ("'AB'|lower", "ab"),
    ("people|map(attribute='name')", '["Bo", "ann", "Cy"]'),
    ("people|map(attribute='in.x', default=0)", "[1, 2, 0]"),
    ("['a','b']|map('upper')|join", "AB"),
    ("[3,1]|max", "3"),
    ("people|max(attribute='age')|tojson", '{"name": "ann", "age": 5, "in": {"x": 2}}'),
    ("[3,1]|min", "1"),
    ("[1,2,3]|reject('odd')", "[2]"),
    ("people|rejectattr('age', 'eq', 3)|map(attribute='name')", '["ann"]'),
    ("'a-b-c'|replace('-', '+')", "a+b+c"),
    ("'a-b-c'|replace('-', '+', 1)", "a+b-c"),
    ("'abc'|replace('', '.')", ".a.b.c."),
    ("123|replace(2, 'x')", "1x3"),
    ("[1,2]|reverse", "[2, 1]"),
    ("'ab'|reverse", "ba"),
    ("2.456|round(1)", "2.5"),
    ("2.1|round(0, 'ceil')|int", "3"),
    ("'<b>'|safe ~ '<i>'", "<b><i>"),
    ("[1,2,3]|select('odd')", "[1, 3]"),
    ("people|selectattr('age', 'gt', 3)|map(attribute='name')", '["ann"]'),
    ("[1,2,3]|slice(2)", "[[1, 2], [3]]"),
    ("[3,1,2]|sort(reverse=true)", "[3, 2, 1]"),
    ("people|sort(attribute='name')|map(attribute='name')", '["ann", "Bo", "Cy"]'),
    ("[1]|string ~ 'x'", "[1]x"),
    ("'<p>a  <b>b</b></p> 1 < 2'|striptags", "a b 1 < 2"),
    ("[1, 2.5]|sum", "3.5"),
    ("people|sum(attribute='age', start=100)", "111"),
    ("'ab cd'|title", "Ab Cd"),
    ("{'a': [1, 'é<']}|tojson", '{"a": [1, "é<"]}'),
    ("[1]|tojson(indent=1)", "[\n 1\n]"),
    ("'  a '|trim", "a"),
    ("'xax'|trim('x')", "a"),
    ("'one two three'|truncate(9, false, '...', 0)", "one..."),
    ("[1,2,1]|unique", "[1, 2]"),
    ("'ab'|upper", "AB"),
    ("'a b&/é'|urlencode", "a%20b%26/%C3%A9"),
    ("{'a': 'b c'}|urlencode", "a=b+c"),
    ("'a b  c'|wordcount", "3"),
    ("'aa bb cc'|wordwrap(5)", "aa bb\ncc"),
    ("'abcdefg h'|wordwrap(3)", "abc\ndef\ng h"),
    ("'abcdefg h'|wordwrap(3, false)", "abcdefg\nh"),
    ("'a\nb'|wordwrap(9)", "a\nb"),
]


@pytest.mark.parametrize(("expression", "text"), EXAMPLES)
def test_a_filter_gives_what_it_should(expression, text):
    assert render(expression) == text


def test_every_filter_has_an_example():
    missing = {name for name in FILTERS if not any(f"|{name}" in expression for expression, _ in EXAMPLES)}

    assert missing == set()


TRUE = [
    "1 is odd", "2 is even", "6 is divisibleby(3)", "people is defined", "nope is undefined",
    "none is none", "true is boolean", "true is true", "false is false", "1 is integer", "1.5 is float",
    "'a' is lower", "'A' is upper", "'a' is string", "{} is mapping", "1 is number", "[] is sequence",
    "'' is iterable", "1 is sameas(1)", "1 is in([1])", "1 is eq(1)", "1 is equalto(1)", "1 is ne(2)",
    "2 is gt(1)", "2 is greaterthan(1)", "2 is ge(2)", "1 is lt(2)", "1 is lessthan(2)", "1 is le(1)",
    "'upper' is filter", "'nope' is not filter", "'odd' is test", "'a' is not escaped", "1 is not string",
    "[1]|select('==', 1)|list == [1]", "[1]|select('!=', 2)|list == [1]", "[1]|select('>', 0)|list == [1]",
    "[1]|select('<', 2)|list == [1]", "[1]|select('>=', 1)|list == [1]", "[1]|select('<=', 1)|list == [1]",
]  # fmt: skip


@pytest.mark.parametrize("expression", TRUE)
def test_a_test_holds(expression):
    assert render(expression) == "True"


def test_every_test_has_an_example():
    words = {
        word.strip("'()")
        for expression in TRUE
        for word in expression.replace("(", " ").replace(",", " ").split()
    }

    assert set(TESTS) <= words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("'a'|center(10**6)", "a width is a number up to 10,000"),
        ("'a'|indent(10**6)", "a width is a number up to 10,000"),
        ("'a'|center('x')", "a width is a number up to 10,000"),
        ("[1]|batch(10**6)", "a width is a number up to 10,000"),
        ("[1]|slice(10**6)", "a width is a number up to 10,000"),
        ("1.5|round(301)", "round takes a precision up to 300"),
        ("[[1],[2]]|sum(start=[])", "sum adds numbers only"),
        ("[1]|tojson(indent=9)", "tojson takes an indent of 0 to 8"),
        ("[1]|tojson(indent=-1)", "tojson takes an indent of 0 to 8"),
        ("'%1001d'|format(1)", "width and precision are numbers up to 1000"),
        ("'%.1001f'|format(1)", "width and precision are numbers up to 1000"),
        ("'%*d'|format(9, 1)", "width and precision are numbers up to 1000"),
        ("'%s %s'|format(1)", "not enough arguments"),
        ("'%d'|format('x')", "%d format"),
        ("'%(a)s'|format(1, a=2)", "by place or by name"),
        ("'['|from_json", "not valid JSON"),
        ("[1, 'a']|sum", "unsupported operand"),
        ("people|sum(attribute='nope')", "nope"),
        ("people|join(attribute='name.x')", "string indices"),
        ("['a']|map('nope')", "No filter named 'nope'"),
        ("['a']|select('nope')", "No test named 'nope'"),
        ("5|list", "not iterable"),
        ("[[1]]|unique", "unhashable"),
    ],
)
def test_a_filter_refuses_what_it_can_not_do(expression, words):
    with pytest.raises(Invalid) as caught:
        render(expression)
    assert caught.value.message.startswith("line 1: ")
    assert words in caught.value.message


@pytest.mark.parametrize("name", ["rowel spend", "rowel read", "rowel walk", "rowel concat"])
def test_the_inner_filters_cannot_be_called_by_name(name):
    with pytest.raises(Invalid, match="No filter named"):
        render(f"[-1000000]|map('{name}')|list")


@pytest.mark.parametrize("name", ["random", "pprint", "attr", "xmlattr", "urlize", "forceescape"])
def test_filters_that_could_do_harm_do_not_exist(name):
    with pytest.raises(Invalid, match=f"No filter named '{name}'"):
        Template("{{ x|" + name + " }}")


@given(st.text(), st.text(), st.text())
def test_replace_and_join_do_what_python_does(text, old, new):
    assert render("t|replace(o, n)", t=text, o=old, n=new) == text.replace(old, new)
    assert render("[t, o]|join(n)", t=text, o=old, n=new) == new.join([text, old])


@given(st.text("ab \n", max_size=60), st.integers(1, 12))
def test_no_wrapped_line_is_too_long_and_no_word_is_lost(text, width):
    wrapped = render("t|wordwrap(w)", t=text, w=width)

    assert (
        all(len(line) <= max(width, len(line.strip()) and width) for line in wrapped.split("\n"))
        or "  " in text
    )
    assert wrapped.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")


@given(st.text())
def test_escaping_leaves_no_markup(text):
    escaped = render("t|e", t=text)

    assert not set(escaped) & set("<>\"'")
