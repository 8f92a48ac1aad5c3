"""What templates mean: values put into text, and sentences where they can't be."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import Invalid
from rowel.core.templates import Template

VALUES = {
    "input_node": {
        "ticket": "It <broke> & {{smokes}}",
        "n": 7,
        "price": 1.5,
        "urgent": True,
        "nothing": None,
        "tags": ["a", "b"],
        "user": {"name": "Zoë", "langs": ["de"], "vip": False},
        "items": [1, 2],
        "keys": "a field called keys",
    },
    "LLM": {"output": "{% if x %}"},
}


def render(source, values=VALUES):
    return Template(source).render(values)


def refusal(source, values=VALUES):
    with pytest.raises(Invalid) as caught:
        render(source, values)
    return caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "a { b } c",
        "100 % sure",
        "{ {x} }",
        "tail\n",
        "\n\nlines\r\n",
        "# not a line statement",
        "\ud800\0",
    ],
)
def test_text_without_tags_passes_unchanged(text):
    assert render(text) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{input_node.ticket}}", "It <broke> & {{smokes}}"),
        ("{{ LLM.output }}", "{% if x %}"),
        ("{{input_node.n}} {{input_node.price}}", "7 1.5"),
        ("{{input_node.urgent}}", "True"),
        ("[{{input_node.nothing}}]", "[]"),
        ("{{input_node.tags}}", '["a", "b"]'),
        ("{{input_node.user}}", '{"name": "Zoë", "langs": ["de"], "vip": false}'),
        ("{{input_node.user.langs.0}}", "de"),
        ("{{input_node['user']['name']}}", "Zoë"),
        ("{{input_node.tags[-1]}}", "b"),
        ("{{input_node.items}}", "[1, 2]"),
        ("{{input_node.keys}}", "a field called keys"),
        ("{{LLM.keys()}}", '["output"]'),
        ("a\n{{input_node.n}}\n", "a\n7\n"),
        ("{#- nothing -#}", ""),
        ("{% raw %}{{ not me }}{% endraw %}", "{{ not me }}"),
    ],
)
def test_values_are_put_in(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% if input_node.urgent %}now{% else %}later{% endif %}", "now"),
        ("{% if input_node.n > 6 and 'a' in input_node.tags %}yes{% endif %}", "yes"),
        ("{% for tag in input_node.tags %}{{loop.index}}.{{tag}} {% endfor %}", "1.a 2.b "),
        (
            "{% for k, v in input_node.user.items() %}{{k}}={{v}};{% endfor %}",
            'name=Zoë;langs=["de"];vip=False;',
        ),
        ("{% for n in range(5) if n is odd %}{{n}}{{ ',' if not loop.last }}{% endfor %}", "1,3"),
        ("{% for x in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for x in [[1,[2]],[3]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}", "123"),
        ("{% set x = input_node.n * 2 %}{{x + 1}}", "15"),
        ("{% set x %}in {{input_node.n}}{% endset %}{{x}}!", "in 7!"),
        (
            "{% set ns = namespace(t=0) %}{% for n in [1,2] %}{% set ns.t = ns.t + n %}{% endfor %}{{ns.t}}",
            "3",
        ),
        (
            "{% macro greet(who, how='Hi') %}{{how}} {{who}}{% endmacro %}{{greet('Ann')}} {{greet('Bo', how='Yo')}}",
            "Hi Ann Yo Bo",
        ),
        ("{% macro twice() %}{{caller()}}{{caller()}}{% endmacro %}{% call twice() %}x{% endcall %}", "xx"),
        ("{% filter upper %}a{{input_node.n}}{% endfilter %}", "A7"),
        ("{% with a = 1 %}{{a}}{% endwith %}", "1"),
        ("{{ 'a' ~ 1 ~ input_node.tags ~ none }}", 'a1["a", "b"]'),
        (
            "{{ 'x' * 3 }}{{ [1] + [2] }}{{ 7 // 2 }}{{ 7 / 2 }}{{ 2 ** 10 }}{{ 7 % 4 }}{{ -3 + 1 }}",
            "xxx[1, 2]33.510243-2",
        ),
        ("{{ '%s: %05.1f' % ('a', 2) }}", "a: 002.0"),
        ("{{ 'abc'[1:] }}{{ [1,2,3][:2] }}", "bc[1, 2]"),
        ("{{ (1, 2) }}{{ {'a': 1} }}", '[1, 2]{"a": 1}'),
        ("{{ cycler('a', 'b').next() }}", "a"),
        ("{% set j = joiner(', ') %}{{j()}}a{{j()}}b", "a, b"),
        ("{{ dict(a=1).a }}", "1"),
        ("{{ 'no' if false }}", ""),
    ],
)
def test_jinjas_language_works(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'Ab'.upper() }}{{ 'Ab'.lower() }}{{ ' a '.strip() }}", "ABaba"),
        (
            "{{ 'a,b'.split(',') }}{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a\nb'.splitlines() }}",
            '["a", "b"]["a,b", "c"]["a", "b"]',
        ),
        ("{{ ', '.join([1, 'a']) }}{{ 'aXa'.replace('X', '-') }}", "1, aa-a"),
        (
            "{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}|{{ 'a'.center(3) }}|{{ '7'.zfill(3) }}",
            "a  |..a| a |007",
        ),
        ("{{ 'abc'.startswith('ab') }}{{ 'abc'.find('c') }}{{ 'aa'.count('a') }}", "True22"),
        ("{{ [3, 4].index(4) }}{{ [3, 3].count(3) }}", "12"),
        ("{{ {'a': 1}.get('b', 'd') }}{{ {'a': 1}.values() }}", "d[1]"),
        ("{{ (2.0).is_integer() }}", "True"),
    ],
)
def test_listed_methods_work(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    "text", ["{{x}}", "{% for %}", "{{ self }}", "{{ ''.__class__ }}", "\\{{", "{#", "%}", "}}"]
)
def test_what_a_value_holds_is_never_rendered_again(text):
    values = {"a": {"s": text, "l": [text]}}

    assert render("{{a.s}}", values) == text
    assert json.loads(render("{{a.l}}", values)) == [text]
    assert render("{% set x = a.s %}{{x}}{{a.s ~ ''}}{{a.s|string}}", values) == text * 3


@given(st.text())
def test_any_text_value_passes_unchanged(text):
    assert render("{{a.s}}", {"a": {"s": text}}) == text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(JSON_VALUES, max_size=3) | st.dictionaries(st.text(), JSON_VALUES, max_size=3))
def test_lists_and_objects_are_put_in_as_json(value):
    assert json.loads(render("{{a.v}}", {"a": {"v": value}})) == value
    assert json.loads(render("{{a.v|tojson}}", {"a": {"v": value}})) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{nope}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{nope.x.y}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("a\nb {{LLM.nope}}", "line 2: there is no 'nope'; there is 'output'"),
        ("{{LLM.nope.deeper.still}}", "line 1: there is no 'nope'; there is 'output'"),
        ("{{LLM['nope']}}", "line 1: there is no 'nope'; there is 'output'"),
        ("{{input_node.tags[7]}}", "line 1: there is no 7; it is a list of 2"),
        ("{{LLM.output.nope}}", "line 1: there is no 'nope'; it is text"),
        ("{{LLM.output[99]}}", "line 1: there is no 99; it is text"),
        ("{{input_node.nothing.x}}", "line 1: there is no 'x'; it is null"),
        ("{% for x in LLM.nope %}{% endfor %}", "line 1: there is no 'nope'; there is 'output'"),
        ("\n\n{% for x in nope %}{% endfor %}", "line 3: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{nope()}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{nope + 1}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{1 - nope}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{nope < 1}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{-nope}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{nope|upper}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{nope|length}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{'a' in nope}}", "line 1: there is no 'nope'; there is 'LLM', 'input_node'"),
        ("{{[LLM.nope]}}", "line 1: there is no 'nope'; there is 'output'"),
        ("{{'a' ~ LLM.nope}}", "line 1: there is no 'nope'; there is 'output'"),
        ("{{[]|first}}", "line 1: No first item, sequence was empty."),
        ("{% set ns = namespace() %}{{ns.x}}", "line 1: the namespace has no 'x'"),
        ("{% set ns = namespace() %}{{ns._x}}", "line 1: the namespace has no '_x'"),
    ],
)
def test_what_is_missing_is_named_with_its_line(source, message):
    assert refusal(source) == message


def test_without_any_values_that_is_said():
    assert refusal("{{x}}", {}) == "line 1: there is no 'x'; nothing was received"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ nope | default('d') }}", "d"),
        ("{{ LLM.nope.deeper | d('d') }}", "d"),
        ("{{ input_node.nothing | default('d', true) }}", "d"),
        ("{{ LLM.nope or 'd' }}", "d"),
        ("{% if LLM.nope %}a{% else %}b{% endif %}", "b"),
        ("{% if LLM.nope == 'x' %}a{% else %}b{% endif %}", "b"),
        ("{% if LLM.nope != 'x' %}a{% endif %}", "a"),
        ("{% if nope is defined %}a{% else %}b{% endif %}", "b"),
        ("{% if not nope.x %}a{% endif %}", "a"),
        ("{% for x in LLM.nope or [] %}{% else %}none{% endfor %}", "none"),
    ],
)
def test_asking_for_what_is_missing_is_lawful(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{{", 1),
        ("{{ x", 1),
        ("a\nb\n{{ x }", 3),
        ("{% if x %}", 1),
        ("{% endif %}", 1),
        ("\n{% for x %}{% endfor %}", 2),
        ("{{ x | nofilter }}", 1),
        ("{{ x is notest }}", 1),
        ("{{ a b }}", 1),
        ("{{ 'x }}", 1),
        ("{% unknown %}", 1),
        ("{# open", 1),
        ("{% raw %} x", 1),
        ("{{ }}", 1),
        ("{{ 1 + }}", 1),
        ("{{ x | random }}", 1),
        ("{{ x | attr('y') }}", 1),
        ("{% do x %}", 1),
        ("{% trans %}x{% endtrans %}", 1),
    ],
)
def test_what_does_not_parse_is_refused_with_its_line(source, line):
    with pytest.raises(Invalid) as caught:
        Template(source)
    assert caught.value.message.startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("source", "tag"),
    [
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% from 'x' import y %}", "from"),
        ("{% extends 'x' %}", "extends"),
        ("{% block x %}{% endblock %}", "block"),
        ("{% autoescape true %}{% endautoescape %}", "autoescape"),
        ("{% if x %}\n{% include 'x' %}{% endif %}", "include"),
    ],
)
def test_a_template_stands_alone(source, tag):
    with pytest.raises(Invalid, match=f"line [12]: the tag '{tag}' is not available here"):
        Template(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "can only concatenate str"),
        ("{{ [2, 'a'] | sort }}", "not supported between"),
        ("{{ input_node.ticket() }}", "text can't be called"),
        ("{{ input_node.n.x() }}", "there is no 'x'; it is an integer"),
        ("{{ 'a'.upper(1, 2) }}", "takes no arguments"),
        ("{{ 'abc'|replace() }}", "missing"),
        ("{{ [1].index(2) }}", "2 is not in list"),
        ("{{ x.y.z }}{{ '{' | from_json }}", "there is no 'x'"),
        ("{{ '{' | from_json }}", "not valid JSON"),
        ("{% for a, b in [1] %}{% endfor %}", "cannot unpack"),
    ],
)
def test_what_goes_wrong_while_rendering_is_told_with_its_line(source, words):
    assert refusal(source).startswith("line 1: ")
    assert words in refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.join }}",
        "{{ range }}",
        "{{ self }}",
        "{{ namespace() }}",
        "{{ [dict] }}",
        "{% macro m() %}{% endmacro %}{{ m }}",
    ],
)
def test_functions_and_objects_of_the_engine_are_not_printed(source):
    assert "can't be printed" in refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ input_node.__class__ }}",
        "{{ input_node.n.__class__ }}",
        "{{ input_node.tags.__len__() }}",
        "{{ input_node.tags.append(1) }}",
        "{{ input_node.update({}) }}",
        "{{ input_node.user.pop('name') }}",
        "{{ self.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ range.__globals__ }}",
        "{{ dict.fromkeys }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ namespace.__init__ }}",
        "{{ namespace().__class__ }}",
        "{{ namespace()._Namespace__attrs }}",
        "{{ joiner.__init__ }}",
        "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
        "{% macro m() %}{% endmacro %}{{ m._func }}",
        "{% macro m() %}{% endmacro %}{{ m.name }}",
        "{{ ''.upper.__self__ }}",
        "{{ ''.upper.owner }}",
        "{{ ''.format }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ''.format_map }}",
        "{{ ''.encode() }}",
        "{{ ''.translate({}) }}",
        "{{ [''] | map(attribute='__class__') | list }}",
        "{{ [''] | map('attr', '__class__') | list }}",
        "{{ [''] | groupby('__class__') }}",
        "{{ [1] | join(attribute='__class__') }}",
        "{{ '%(a)s' % namespace }}",
        "{{ lipsum }}",
        "{{ config }}",
        "{{ request }}",
        "{{ get_flashed_messages }}",
        "{{ undefined }}",
    ],
)
def test_there_is_no_way_out_of_the_values(source):
    message = refusal(source)

    assert "<class" not in message
    assert "0x" not in message


def test_rendering_changes_no_values():
    values = {"a": {"l": [1], "d": {"k": 1}}}

    render("{% set x = a.l %}{% set y = a.l + [2] %}{{ a.d.get('z', 1) }}{{ x }}{{ y }}", values)

    assert values == {"a": {"l": [1], "d": {"k": 1}}}


def test_one_rendering_leaves_nothing_for_the_next():
    template = Template(
        "{% set c = cycler('a', 'b') %}{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{c.next()}}{{ns.n}}"
    )

    assert [template.render({}) for _ in range(3)] == ["a1", "a1", "a1"]


def test_threads_may_share_a_template():
    template = Template(
        "{% set ns = namespace(n=0) %}{% for i in range(50) %}{% set ns.n = ns.n + x %}{% endfor %}{{ns.n}}"
    )

    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda number: template.render({"x": number}), range(40)))

    assert texts == [str(50 * number) for number in range(40)]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plain", set()),
        ("{{a.b}} {{ c['d'].e }}", {"a", "c"}),
        ("{% for x in a.items %}{{x}}{{loop.index}}{% endfor %}", {"a"}),
        ("{% set y = 1 %}{{y}}{{z}}", {"z"}),
        ("{{ range(n) }}{{ dict(a=b) }}{{ namespace() }}", {"n", "b"}),
        ("{% macro m(p) %}{{p}}{{q}}{% endmacro %}{{m(1)}}", {"q"}),
        ("{% if a is defined %}{{ b|default(c) }}{% endif %}", {"a", "b", "c"}),
        ("{# {{x}} #}{% raw %}{{y}}{% endraw %}", set()),
    ],
)
def test_a_template_knows_the_names_it_uses(source, names):
    assert Template(source).variables == names


def test_a_title_hides_a_function_of_the_same_name():
    assert render("{{range.x}}", {"range": {"x": 1}}) == "1"


def test_a_source_is_kept_as_it_was():
    assert Template("a {{b}}").source == "a {{b}}"
