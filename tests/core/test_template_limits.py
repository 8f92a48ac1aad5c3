"""No template hangs, and none fills the memory: each of these would, without the meter."""

from __future__ import annotations

import pytest

from rowel.core import templates
from rowel.core.errors import Invalid
from rowel.core.templates import Template
from rowel.core.templating.meter import MAX_ITEMS, MAX_TEXT, MAX_WORK, Meter

MANY = "{% for i in range(100000) %}"
END = "{% endfor %}"
BIG = "a b " * 1_000_000
VALUES = {
    "big": BIG,
    "rows": [[number, {"k": "v"}] for number in range(20_000)],
    "flat": list(range(MAX_ITEMS)),
    "s": "x",
}


def refusal(source):
    with pytest.raises(Invalid) as caught:
        Template(source).render(VALUES)
    return caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        MANY + MANY + END + END,
        MANY + "{{ 'zz' in big }}" + END,
        MANY + "{{ rows == rows }}" + END,
        MANY + "{% if rows is eq(rows) %}{% endif %}" + END,
        MANY + "{% set q = big[1:] %}" + END,
        MANY + "{% set q = flat[1:] %}" + END,
        MANY + "{% for x in flat if x < 0 %}{% endfor %}" + END,
        MANY + "{% set q = [" + "s," * 4000 + "] %}" + END,
        MANY + "{% set q = {" + ",".join(f"'k{number}': s" for number in range(1000)) + "} %}" + END,
        MANY + "{% set q = big|upper %}" + END,
        MANY + "{% set q = big.upper() %}" + END,
        MANY + "{% set q = big|title %}" + END,
        MANY + "{% set q = big|wordcount %}" + END,
        MANY + "{% set q = big|wordwrap(5) %}" + END,
        MANY + "{% set q = big|striptags %}" + END,
        MANY + "{% set q = big|truncate(100000) %}" + END,
        MANY + "{% set q = big.rfind('zz') %}" + END,
        MANY + "{% set q = big.count('a b a c') %}" + END,
        MANY + "{% set q = big.strip('ab ') %}" + END,
        "{{ big|sort }}",
        MANY + "{% set q = big|max %}" + END,
        MANY + "{% set q = big|unique %}" + END,
        MANY + "{% set q = flat|sort %}" + END,
        MANY + "{% set q = rows|sort %}" + END,
        MANY + "{% set q = rows|groupby(0) %}" + END,
        MANY + "{% set q = rows|tojson %}" + END,
        MANY + "{% set q = rows.count(5) %}" + END,
        MANY + "{{ loop.changed(rows) }}" + END,
        MANY + "x" * 100_000 + END,
        MANY + "{{ big }}" + END,
        "{% macro m() %}{{ varargs|length }}{% endmacro %}" + MANY + "{{ m(*flat) }}" + END,
        "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[]) %}" + MANY + "{% set ns.x = ns.x + [1] %}" + END,
        "{% set ns = namespace(x='') %}" + MANY + "{% set ns.x = ns.x ~ 'abcdefghijklmnopqrstuvwxyz' %}" + END,
        "{% set ns = namespace(x='') %}" + MANY + "{% set ns.x = ns.x + 'abcdefghijklmnopqrstuvwxyz' %}" + END,
        "{% set a %}" + "x" * 1000 + "{% endset %}" + "{% set a %}{{a}}{{a}}{% endset %}" * 40,
        "{% for a in range(30) recursive %}{{ loop(range(30)) if loop.depth < 30 }}" + END,
    ],
    ids=lambda source: source[:60] + "..." + source[-20:],
)  # fmt: skip
def test_too_much_work_is_refused(source, monkeypatch):
    monkeypatch.setattr(templates, "Meter", lambda: Meter(MAX_WORK // 10))

    assert "does more work than one rendering may" in refusal(source)


@pytest.mark.parametrize("body", ["", "{{i}}", "{% if i %}{% endif %}", "{% set x = [i] %}"])
def test_the_whole_budget_is_soon_spent(body):
    assert "does more work than one rendering may" in refusal(MANY + MANY + body + END + END)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * 'a' }}",
        "{% set ns = namespace(x='abcd') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='abcd') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ big|replace('a', 'aaaaaaaa') }}",
        "{{ big.replace('', 'xxxx') }}",
        "{{ flat|join(big) }}",
        "{{ big.join(flat) }}",
        "{{ ('a\n' * 100000)|indent(10000) }}",
        "{{ ('<' * 4000000)|e }}",
        "{{ big|urlencode }}",
        "{{ '%(a)s' * 100000 % {'a': big} }}",
        "{{ ('%(a)1000d' * 100000)|format(a=1) }}",
        "{{ ('%1000d' * 10000) % ((1,) * 10000) }}",
        "{% macro m(n) %}"
        + "x" * 10_000
        + "{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(99) }}",
        "{{ big }}{{ big }}",
    ],
    ids=lambda source: source[:70],
)
def test_too_long_a_text_is_refused_before_it_is_made(source):
    assert "the limit is 4,194,304" in refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ range(10**9) }}",
        "{{ range(0, 10**12, 3) }}",
        "{{ [1] * 10**9 }}",
        "{{ 10**9 * (1,) }}",
        "{{ flat + flat }}",
        "{{ big.split('a') }}",
        "{{ big.rsplit() }}",
        "{{ ('a\n' * 200000).splitlines() }}",
        "{{ big|list }}",
        "{{ big|map('upper') }}",
        "{{ ('[' ~ '1,' * 200000 ~ '1]')|from_json }}",
    ],
)
def test_too_long_a_list_is_refused(source):
    assert "the limit is 100,000" in refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 10 ** 10000 }}",
        "{{ 2 ** (10 ** 9) }}",
        "{{ (-3) ** 10000 }}",
        "{% set ns = namespace(x=3) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{{ ('9' * 4299)|int * 10 }}",
        "{{ ('9' * 4299)|int + 1 }}",
        "{{ ('9' * 4299)|int - 1 }}",
    ],
)
def test_too_large_a_number_is_refused(source):
    assert "number that is too large" in refusal(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 2 ** 100 }}", str(2**100)),
        ("{{ 0 ** 10000000 }}{{ 1 ** 10000000 }}{{ (-1) ** 10000001 }}", "01-1"),
        ("{{ 2 ** -1 }}{{ 2.0 ** 0.5 > 1.4 }}", "0.5True"),
        ("{{ 3 * 4000 }}{{ 'ab' * 0 }}{{ 'ab' * -5 }}{{ [1] * -1 }}", "12000[]"),
    ],
)
def test_ordinary_numbers_are_fine(source, text):
    assert Template(source).render({}) == text


@pytest.mark.parametrize("source", ["{{ 2.0 ** 99999 }}", "{{ 10.0 ** 400 }}", "{{ (10**400) / 3.0 }}"])
def test_floats_that_overflow_are_told(source):
    assert refusal(source).startswith("line 1: ")


@pytest.mark.parametrize(
    "source",
    [
        "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set ns = namespace(x=[]) %}" + MANY + "{% set ns.x = [ns.x] %}" + END + "{{ ns.x }}",
    ],
)
def test_endless_recursion_is_told(source):
    assert "nests or calls itself too deep" in refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "[" * 3000 + "]" * 3000 + " }}",
        "{{ x" + ".a" * 5000 + " }}",
        "{{ " + "1+" * 5000 + "1 }}",
        "{{ " + "not " * 5000 + "x }}",
        "{{ " + "-" * 5000 + "1 }}",
        "{% if x %}" * 500 + "{% endif %}" * 500,
        "{% for x in y %}" * 100 + "{% endfor %}" * 100,
    ],
    ids=lambda source: source[:12],
)
def test_a_source_that_nests_too_deep_is_refused(source):
    with pytest.raises(Invalid, match="nested too deep"):
        Template(source)


@pytest.mark.parametrize(
    "source", ["{{a}} " * 10_000, "{{ [" + "1," * 20_000 + "] }}", "{{ " * 50_000, "{% set a = 1 %}" * 5000]
)
def test_a_source_with_too_many_words_in_tags_is_refused(source):
    with pytest.raises(Invalid, match="more than 20,000 words and signs"):
        Template(source)


def test_a_source_has_a_limited_size():
    assert Template("x" * 1024 * 1024).render({}) == "x" * 1024 * 1024
    with pytest.raises(Invalid, match="1,048,577 characters; the limit is 1,048,576"):
        Template("x" * (1024 * 1024 + 1))


@pytest.mark.parametrize(
    "source",
    [
        "{#" * 200_000,
        "{%" + " " * 500_000,
        "{{ '" + "\\" * 500_000,
        "{% raw %}" + "{% " * 100_000,
        "{#" + "-" * 500_000,
    ],
    ids=lambda source: source[:6],
)
def test_odd_sources_are_refused_in_linear_time(source):
    with pytest.raises(Invalid, match="line 1: "):
        Template(source)


def test_a_literal_number_too_long_is_refused():
    with pytest.raises(Invalid, match="the template can't be compiled"):
        Template("{{ " + "9" * 5000 + " }}")


def test_values_as_large_as_an_output_may_be_are_put_in():
    assert Template("{{big}}").render(VALUES) == BIG
    assert len(Template("{{rows}}").render(VALUES)) > 400_000
    assert Template("{% for row in rows %}{{row[0]}} {% endfor %}").render(VALUES).split()[-1] == "19999"
    assert Template("{{ flat|sum }} {{ flat|length }}").render(VALUES) == f"{sum(VALUES['flat'])} {MAX_ITEMS}"


def test_a_result_may_be_as_long_as_the_limit():
    half = "x" * (MAX_TEXT // 2)

    assert len(Template("{{a}}{{a}}").render({"a": half})) == MAX_TEXT


def test_every_rendering_has_its_own_budget():
    template = Template("{% for i in range(60000) %}{{i}}{% endfor %}")

    assert len({template.render({}) for _ in range(5)}) == 1


def test_a_value_cannot_stand_in_for_the_meter():
    assert "more work" in _with(MANY + MANY + END + END, {"rowel meter": Meter(10**12)})


def _with(source, values):
    with pytest.raises(Invalid) as caught:
        Template(source).render(values)
    return caught.value.message


def test_a_meter_refuses_what_is_beyond_its_budget():
    meter = Meter(10)
    meter.spend(10)

    with pytest.raises(Invalid, match="does more work"):
        meter.spend(1)
