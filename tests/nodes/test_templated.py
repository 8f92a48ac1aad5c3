from __future__ import annotations

from typing import Any

import pytest

from rowel.core.errors import Invalid, NodeFailed
from rowel.nodes.base import Config, Node
from rowel.nodes.templated import TemplatedFields, template_problems
from tests.support.nodes import spec_of


class LetterConfig(Config):
    subject: str = ""
    body: Any = None


def problems_of(**config: Any) -> list[tuple[str | None, str | None]]:
    letter = LetterConfig(**config)
    return [
        (problem.node_id, problem.field)
        for problem in template_problems(spec_of(Node, config, "letter"), letter, ("subject", "body"))
    ]


def test_text_and_json_are_rendered_where_they_hold_templates():
    config = LetterConfig(
        subject="To {{in.name}}", body={"a": ["{{in.name}}", 1, None, True], "{{b}}": {"c": "{{in.name}}!"}}
    )

    rendered = TemplatedFields(config, "subject", "body").render({"in": {"name": "Ann"}})

    assert rendered == {"subject": "To Ann", "body": {"a": ["Ann", 1, None, True], "{{b}}": {"c": "Ann!"}}}


def test_every_template_that_does_not_parse_is_a_problem_with_its_place():
    found = problems_of(subject="{{", body={"a": ["fine", "{% if %}"], "b": {"c": "{{ x"}})

    assert found == [
        ("letter", "config.subject"),
        ("letter", "config.body.a.1"),
        ("letter", "config.body.b.c"),
    ]


def test_templates_that_parse_are_no_problem():
    assert problems_of(subject="{{a.b}}", body=[{"c": "{% if a %}x{% endif %}"}, 5]) == []


def test_a_broken_template_can_not_be_made():
    with pytest.raises(Invalid, match=r"body\.0: line 1"):
        TemplatedFields(LetterConfig(body=["{{ x"]), "body")


def test_what_is_missing_is_told_with_its_place():
    fields = TemplatedFields(LetterConfig(body={"to": "{{in.nmae}}"}), "body")

    with pytest.raises(NodeFailed, match=r"body\.to: line 1: .*nmae"):
        fields.render({"in": {"name": "Ann"}})
