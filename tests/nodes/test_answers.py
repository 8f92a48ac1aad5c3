from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.core.errors import NodeFailed
from rowel.core.schemas import Schema
from rowel.nodes.answers import AnswerReader

JOKE = Schema.from_fields({"joke": "string"})
TWO = Schema.from_fields({"title": "string", "year": "int"})
MOOD = Schema.from_json(
    {"type": "object", "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}}}
)

DEFAULTS = [
    None,
    Schema.from_fields({"output": "string"}),
    Schema.from_fields({"output": "str"}),
    Schema.from_json('{"type": "object", "properties": {"output": {"type": "string"}}}'),
    Schema.from_json(
        '{"type": "object", "properties": {"output": {"type": "string", "title": "Output"}}, "required": ["output"]}'
    ),
]


def refusal(reader: AnswerReader, text: str) -> str:
    with pytest.raises(NodeFailed) as refused:
        reader.read(text)
    assert not refused.value.retryable
    return refused.value.message


@pytest.mark.parametrize("schema", DEFAULTS)
def test_the_default_schema_is_not_asked_for(schema):
    assert AnswerReader(schema).wanted is None


@pytest.mark.parametrize(
    "schema",
    [
        JOKE,
        TWO,
        MOOD,
        Schema.from_fields({"output": "int"}),
        Schema.from_fields({"output": "string", "more": "string"}),
        Schema.from_json(
            {"type": "object", "properties": {"output": {"type": "string", "description": "in French"}}}
        ),
    ],
)
def test_any_other_schema_is_asked_for(schema):
    assert AnswerReader(schema).wanted == schema.json_schema


@pytest.mark.parametrize("schema", DEFAULTS)
@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "  spaces stay \n",
        "{not json",
        '{"output": 5}',
        '{"other": "x"}',
        '["a"]',
        '"quoted"',
        "42",
        '```json\n{"output": "x"}\n```',
        'Here: {"output": "x"}',
        "",
    ],
)
def test_for_the_default_schema_other_text_is_taken_as_it_is(schema, text):
    assert AnswerReader(schema).read(text) == {"output": text}


@pytest.mark.parametrize("schema", DEFAULTS)
def test_json_that_fits_is_parsed_for_the_default_schema_too(schema):
    assert AnswerReader(schema).read(' {"output": "x\\n"}\n') == {"output": "x\n"}


@given(st.text())
def test_no_text_fails_for_the_default_schema(text):
    assert set(AnswerReader(None).read(text)) == {"output"}


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "A", "year": 1999}',
        '```json\n{"title": "A", "year": 1999}\n```',
        '```\n{"title": "A", "year": 1999}```',
        'Sure!\n```json\n{"title": "A", "year": 1999}\n```\nAnything else?',
        'Sure: {"title": "A", "year": 1999}. Anything else?',
        '```json\n{"wrong": 1}\n```\nI mean:\n```json\n{"title": "A", "year": 1999}\n```',
    ],
)
def test_a_declared_schema_is_found_in_the_answer(text):
    assert AnswerReader(TWO).read(text) == {"title": "A", "year": 1999}


@pytest.mark.parametrize("text", ["no idea", "[1, 2]", '"text"', "{broken", '{"title": "A", "year": 19', ""])
def test_an_answer_that_is_not_json_fails(text):
    message = refusal(AnswerReader(TWO), text)

    assert "it is not JSON" in message
    assert repr(text) in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"title": "A"}', "'year' is missing"),
        ('{"title": "A", "year": "1999"}', "year"),
        ('{"title": "A", "year": NaN}', "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"title": "A", "year": ' + "9" * 5_000 + "}", "it is not JSON"),
    ],
)
def test_json_that_does_not_fit_fails_and_says_why(text, problem):
    message = refusal(AnswerReader(TWO), text)

    assert problem in message
    assert len(message) < 700


def test_schemas_that_are_not_enforced_take_any_object():
    reader = AnswerReader(TWO, enforced=False)

    assert reader.read('{"year": "soon"}') == {"year": "soon"}
    assert "it is not JSON" in refusal(reader, "soon")


def test_a_schema_of_one_text_takes_plain_text():
    reader = AnswerReader(JOKE)

    assert reader.read("Why did the {chicken} cross?\n") == {"joke": "Why did the {chicken} cross?\n"}
    assert reader.read('```json\n{"joke": "ha"}\n```') == {"joke": "ha"}


@pytest.mark.parametrize("text", ['{"joke": "ha', '{"jest": "ha"}', '```json\n{"jest": 1}\n```', '["ha"]'])
def test_text_that_was_to_be_json_is_no_plain_text(text):
    assert "can't be used" in refusal(AnswerReader(JOKE), text)


def test_plain_text_must_fit_too():
    assert AnswerReader(MOOD).read("good") == {"mood": "good"}
    assert "doesn't fit the output schema" in refusal(AnswerReader(MOOD), "so so")


@pytest.mark.parametrize(
    ("schema", "outputs", "shown"),
    [
        (None, {"output": "ha"}, "ha"),
        (JOKE, {"joke": "ha"}, "ha"),
        (TWO, {"title": "A", "year": 1}, '{"title":"A","year":1}'),
    ],
)
def test_outputs_are_shown_as_one_text(schema, outputs, shown):
    assert AnswerReader(schema).show(outputs) == shown
