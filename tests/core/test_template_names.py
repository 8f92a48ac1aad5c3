"""Titles that are no identifiers work in templates too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import Invalid
from rowel.core.templates import Template


def render(source, values):
    return Template(source).render(values)


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("{{node-1.output}}", {"node-1": {"output": "x"}}, "x"),
        ("{{ node-1 }}", {"node-1": {"a": 1}}, '{"a": 1}'),
        ("{{a-b-c.d}}", {"a-b-c": {"d": 1}}, "1"),
        ("{{Draft reply.output}}", {"Draft reply": {"output": "x"}}, "x"),
        ("{{ My big Node.items[0] }}", {"My big Node": {"items": [5]}}, "5"),
        ("{{1st step.x}}", {"1st step": {"x": 1}}, "1"),
        ("{{my-2nd.x}}", {"my-2nd": {"x": 1}}, "1"),
        ("{{Step 2-b.x}}", {"Step 2-b": {"x": 1}}, "1"),
        ("{{ node-1.a + node-2.a }}", {"node-1": {"a": 1}, "node-2": {"a": 2}}, "3"),
        ("{% for x in My Node.list %}{{x}}{% endfor %}", {"My Node": {"list": [1, 2]}}, "12"),
        (
            "{% if node-1.ok and not My Node.ok %}y{% endif %}",
            {"node-1": {"ok": 1}, "My Node": {"ok": 0}},
            "y",
        ),
        ("{{ node-1.x | upper }}", {"node-1": {"x": "a"}}, "A"),
        ("{{ [node-1.x, node-1.x] }}", {"node-1": {"x": 1}}, "[1, 1]"),
        ("{{ node-1['x'] }}", {"node-1": {"x": 1}}, "1"),
        ("{{- node-1.x -}}  !", {"node-1": {"x": 1}}, "1!"),
        ("{{Größe-ß.x}}", {"Größe-ß": {"x": 1}}, "1"),
    ],
)
def test_an_odd_title_that_is_there_is_meant(source, values, text):
    assert render(source, values) == text


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("{{a-b}}", {"a": 5, "b": 3}, "2"),
        ("{{a-1}}", {"a": 5}, "4"),
        ("{{a-b-c}}", {"a-b": 9, "c": 4}, "5"),
        ("{{a.x-1}}", {"a": {"x": 3}, "x-1": 7}, "2"),
        ("{{ loop-1 if false else a-b }}", {"a": 2, "b": 1}, "1"),
        ("{{ a - b }}", {"a-b": 9, "a": 2, "b": 1}, "1"),
        ("{{ 'node-1.x' }}", {"node-1": {"x": 1}}, "node-1.x"),
        ("node-1.x {{a}}", {"node-1": {"x": 1}, "a": 2}, "node-1.x 2"),
        ("{% raw %}{{node-1.x}}{% endraw %}{# node-1.x #}", {"node-1": {"x": 1}}, "{{node-1.x}}"),
        ("{{ 5|default-1 if false else 3-1 }}", {"3-1": 7}, "7"),
    ],
)
def test_otherwise_signs_mean_what_they_mean(source, values, text):
    assert render(source, values) == text


def test_the_longest_title_that_is_there_is_meant():
    source = "{{a-b-c.x}}"

    assert render(source, {"a-b-c": {"x": 1}, "a-b": 100, "a": 100, "c": {"x": 50}}) == "1"
    assert render(source, {"a-b": 100, "a": 7, "c": {"x": 50}}) == "50"


def test_one_template_serves_values_with_and_without_the_title():
    template = Template("{{a-b.x}}")

    assert [
        template.render(values) for values in ({"a-b": {"x": 1}}, {"a": 5, "b": {"x": 2}}, {"a-b": {"x": 4}})
    ] == ["1", "3", "4"]


@pytest.mark.parametrize(
    ("source", "title"),
    [("{{Draft reply.output}}", "Draft reply"), ("{{my-2nd.x}}", "my-2nd"), ("{{node-x.output}}", "node-x")],
)
def test_a_missing_odd_title_is_named_whole(source, title):
    with pytest.raises(Invalid) as caught:
        render(source, {"other": {}})
    assert caught.value.message == f"line 1: there is no {title!r}; there is 'other'"


@pytest.mark.parametrize(
    "source",
    ["{{ a b }}", "{{ a b | upper }}", "{{ a  b.c }}", "{{ a\nb.c }}", "{{ a 'b'.c }}", "{% foo bar.x %}"],
)
def test_two_names_in_a_row_stay_a_mistake_without_a_dot_behind_them(source):
    with pytest.raises(Invalid, match="line"):
        Template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ a if b.c else d.e }}",
        "{{ a in b.c }}",
        "{{ a is defined and b.c }}",
        "{% for a in b.c %}{% endfor %}",
        "{{ not b.c }}",
    ],
)
def test_words_of_the_language_are_never_part_of_a_title(source):
    values = {"a": 1, "b": {"c": [1]}, "d": {"e": 2}}

    assert render(source, values) == render(
        source, {**values, "a in b": 5, "b.c": 5, "not b": 5, "a if b": 5, "in b": 5}
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{node-1.x}}", {"node", "node-1"}),
        ("{{a-b}}", {"a", "b", "a-b"}),
        ("{{Draft reply.x}}{{c}}", {"Draft reply", "c"}),
    ],
)
def test_odd_titles_are_among_the_names_it_uses(source, names):
    assert Template(source).variables == names


def test_many_combinations_of_titles_render_right():
    template = Template("".join(f"{{{{a-{number}}}}} " for number in range(6)))
    for chosen in range(64):
        titles = {f"a-{number}": "x" for number in range(6) if chosen >> number & 1}
        expected = " ".join("x" if f"a-{number}" in titles else str(10 - number) for number in range(6))

        assert template.render({"a": 10, **titles}).strip() == expected


TITLES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*([ -][A-Za-z0-9_]+){0,3}", fullmatch=True).filter(
    lambda title: not {*title.lower().replace("-", " ").split()}
    & set("and as block call do elif else filter for from if import in include is not or set true false none with "
          "without context ignore missing recursive macro endfor endif extends".split())
)  # fmt: skip


@given(TITLES)
def test_every_title_of_words_dashes_and_spaces_can_be_used(title):
    assert render(f"<{{{{ {title}.x }}}}>", {title: {"x": "found"}}) == "<found>"


@given(st.text("ab1-. {}%#|'\"[]()\n", max_size=30))
def test_whatever_the_source_is_it_is_compiled_or_refused(source):
    try:
        template = Template(source)
    except Invalid:
        return
    try:
        text = template.render({"a": {"b": 1}, "a-b": {"b": 2}, "b": 3})
    except Invalid:
        return
    assert isinstance(text, str)
