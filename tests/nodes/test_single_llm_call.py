from __future__ import annotations

import json
from typing import Any

import pytest

from rowel.core.errors import NodeFailed
from rowel.core.outcomes import Done, Usage
from rowel.nodes.builtin.single_llm_call import SingleLLMCallNode
from tests.support.nodes import build, outcome_of, problems_of
from tests.support.providers import Reply

GPT = {"model": "gpt-4o"}
TWO_FIELDS = json.dumps(
    {
        "type": "object",
        "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
        "required": ["title"],
    }
)


async def outputs_of(context, inputs: dict[str, Any] | None = None, **config: Any) -> Any:
    node = build(SingleLLMCallNode, **{"llm_info": GPT, "user_message": "hello", **config})
    outcome = await outcome_of(node, inputs or {}, context)
    assert isinstance(outcome, Done)
    return outcome.outputs


async def failure_of(context, inputs: dict[str, Any] | None = None, **config: Any) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await outputs_of(context, inputs, **config)
    return failed.value


def sent(providers) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in providers.asked[-1].json["messages"]]


async def test_the_answer_is_the_output(context, providers):
    providers.answer("Hi there.")

    assert await outputs_of(context) == {"output": "Hi there."}


async def test_both_messages_are_templates(context, providers):
    await outputs_of(
        context, {"input": {"tone": "kind", "text": "{{ not a template }}"}}, system_message="Be {{input.tone}}.",
        user_message="<p>{{input.text}}</p>\n",
    )  # fmt: skip

    assert sent(providers) == [("system", "Be kind."), ("user", "<p>{{ not a template }}</p>\n")]


async def test_the_model_settings_are_passed_on(context, providers):
    await outputs_of(context, llm_info={**GPT, "temperature": 0.2, "max_tokens": 50, "top_p": 0.5, "more": 1})

    body = providers.asked[0].json
    assert (body["model"], body["temperature"], body["max_tokens"], body["top_p"]) == ("gpt-4o", 0.2, 50, 0.5)


async def test_settings_may_be_null(context, providers):
    await outputs_of(context, llm_info={**GPT, "temperature": None, "max_tokens": None, "top_p": None})

    assert not {"temperature", "max_tokens", "top_p"} & providers.asked[0].json.keys()


async def test_examples_and_history_stand_between_system_and_user(context, providers):
    history = [{"role": "user", "content": "earlier"}, {"role": "assistant", "content": "yes"}]

    await outputs_of(
        context,
        {"chat": {"history": history}},
        system_message="s",
        few_shot_examples=[{"input": "2+2", "output": "4"}],
        enable_message_history=True,
        message_history_variable="chat.history",
    )

    assert sent(providers) == [
        ("system", "s"),
        ("user", "2+2"),
        ("assistant", "4"),
        ("user", "earlier"),
        ("assistant", "yes"),
        ("user", "hello"),
    ]


@pytest.mark.parametrize("changes", [{"enable_message_history": False}, {"message_history_variable": None}])
async def test_history_is_sent_only_where_it_is_turned_on(context, providers, changes):
    config = {"enable_message_history": True, "message_history_variable": "chat.history", **changes}

    await outputs_of(
        context, {"chat": {"history": [{"role": "user", "content": "earlier"}]}}, system_message="", **config
    )

    assert sent(providers) == [("user", "hello")]


@pytest.mark.parametrize("history", [None, []])
async def test_a_history_may_be_empty(context, providers, history):
    await outputs_of(
        context,
        {"chat": {"history": history}},
        enable_message_history=True,
        message_history_variable="chat.history",
    )

    assert len(sent(providers)) == 2


@pytest.mark.parametrize(
    "history", ["text", [5], [{"role": "tool", "content": ""}], [{"content": "x"}], {"a": 1}]
)
async def test_a_history_of_something_else_fails(context, history):
    failed = await failure_of(
        context,
        {"chat": {"history": history}},
        enable_message_history=True,
        message_history_variable="chat.history",
    )

    assert "message_history_variable: 'chat.history'" in failed.message


async def test_without_a_user_message_the_model_gets_all_that_was_received(context, providers):
    received = {"input": {"name": "Zoë"}}

    await outputs_of(context, received, user_message=" ")

    assert json.loads(providers.asked[0].user) == received
    assert "Zoë" in providers.asked[0].user


async def test_an_empty_system_message_is_not_sent(context, providers):
    await outputs_of(context, system_message="")

    assert sent(providers) == [("user", "hello")]


async def test_a_file_is_sent_with_an_empty_user_message(context, providers, blobs):
    blobs.files["uploads/paper.pdf"] = b"%PDF-1.7"

    await outputs_of(
        context,
        {"RouterNode_1": {"input_node": {"paper_pdf_file": "uploads/paper.pdf"}}},
        llm_info={"model": "gemini/gemini-2.0-flash"},
        user_message="",
        url_variables={"file": "RouterNode_1.input_node.paper_pdf_file"},
    )

    (part,) = providers.asked[0].json["contents"][0]["parts"]
    assert part["inlineData"]["mime_type"] == "application/pdf"


async def test_a_list_of_files_is_sent_and_an_absent_one_is_not(context, providers):
    pictures = ["data:image/png;base64,aGk=", "https://example.com/b.png"]

    await outputs_of(
        context,
        {"in": {"pictures": pictures, "empty": "", "none": None}},
        url_variables={
            "image": "in.pictures",
            "file": "in.empty",
            "other": "in.none",
            "unset": None,
            "blank": "",
        },
    )

    content = providers.asked[0].json["messages"][-1]["content"]
    assert [part["image_url"]["url"] for part in content[:2]] == pictures
    assert content[2:] == [{"type": "text", "text": "hello"}]


@pytest.mark.parametrize(
    ("path", "said"), [("in.missing", "there is no 'missing'"), ("in.number", "is not a file's address")]
)
async def test_a_file_that_is_none_fails(context, providers, path, said):
    failed = await failure_of(context, {"in": {"number": 5}}, url_variables={"file": path})

    assert said in failed.message
    assert providers.asked == []


async def test_a_template_that_asks_for_what_is_not_there_fails(context, providers):
    failed = await failure_of(context, {"in": {"name": "Ann"}}, user_message="\n{{in.nmae}}")

    assert failed.message.startswith("user_message: line 2")
    assert providers.asked == []


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "ollama/llama3.2",
        "gemini/gemini-2.0-flash",
        "anthropic/claude-opus-4-8",
        "deepseek/deepseek-chat",
    ],
)
async def test_a_declared_schema_gives_structured_output_with_every_protocol(context, model):
    outputs = await outputs_of(context, llm_info={"model": model}, output_json_schema=TWO_FIELDS)

    assert outputs == {"title": "Answer to: hello", "year": 1}


async def test_a_json_schema_wins_over_a_field_map(context):
    outputs = await outputs_of(context, output_schema={"output": "string"}, output_json_schema=TWO_FIELDS)

    assert outputs.keys() == {"title", "year"}


@pytest.mark.parametrize("schema", [{"output": "string"}, {"output": "str"}, None, {}])
async def test_the_default_output_is_plain_text(context, providers, schema):
    providers.answer("Hi.")

    assert await outputs_of(context, output_schema=schema) == {"output": "Hi."}
    assert "response_format" not in providers.asked[0].json


async def test_a_single_declared_text_is_asked_for_as_json(context, providers):
    outputs = await outputs_of(context, output_schema={"final_joke": "string"})

    assert outputs == {"final_joke": "Answer to: hello"}
    schema = providers.asked[0].json["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["final_joke"]


async def test_a_single_declared_text_may_come_plain(context, providers):
    providers.answer("Ha ha.")

    assert await outputs_of(context, output_schema={"final_joke": "string"}) == {"final_joke": "Ha ha."}


async def test_an_answer_that_does_not_fit_fails_and_its_cost_is_counted(context, providers):
    providers.answer({"title": 5})

    failed = await failure_of(context, output_json_schema=TWO_FIELDS)

    assert "doesn't fit the output schema" in failed.message
    assert context.usage.requests == 1


async def test_a_schema_that_is_not_enforced_takes_any_object(context, providers):
    providers.answer({"title": 5})

    assert await outputs_of(context, output_json_schema=TWO_FIELDS, enforce_schema=False) == {"title": 5}


async def test_tokens_and_cost_are_spent_on_the_task(context, providers):
    await outputs_of(context)

    assert context.usage == Usage(11, 7, pytest.approx(11 * 2.5e-6 + 7 * 1e-5), 1)


async def test_the_task_id_is_the_idempotency_key(context, providers):
    await outputs_of(context)

    assert providers.asked[0].headers["idempotency-key"] == context.task_id


async def test_a_provider_that_can_not_answer_now_makes_a_failure_that_may_pass(context, providers):
    providers.answer(Reply(status=503, headers={"Retry-After": "90"}))

    failed = await failure_of(context)

    assert (failed.retryable, failed.retry_after_s) == (True, 90)


def test_unknown_config_is_kept():
    node = build(SingleLLMCallNode, llm_info={**GPT, "seed": 5}, has_fixed_output=False, type="object")

    assert node.config.llm_info.model_dump()["seed"] == 5
    assert node.config.model_dump()["type"] == "object"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "config.llm_info"),
        ({"llm_info": {}}, "config.llm_info.model"),
        ({"llm_info": {"model": ""}}, "config.llm_info.model"),
        ({"llm_info": {"model": "m", "max_tokens": 0}}, "config.llm_info.max_tokens"),
        ({"llm_info": GPT, "user_message": "{{ x"}, "config.user_message"),
        ({"llm_info": GPT, "system_message": "{% if %}"}, "config.system_message"),
        ({"llm_info": GPT, "output_json_schema": "{"}, "output_json_schema"),
        ({"llm_info": GPT, "output_schema": {"a": "nonsense"}}, "output_schema"),
    ],
)
def test_a_config_that_can_not_work_is_refused(config, problem):
    assert any(problem in found for found in problems_of(SingleLLMCallNode, **config))


def test_all_templates_that_do_not_parse_are_told_at_once():
    found = problems_of(SingleLLMCallNode, llm_info=GPT, user_message="{{", system_message="{{")

    assert [line.partition(":")[0] for line in found] == ["config.system_message", "config.user_message"]


def test_it_says_what_it_is():
    assert SingleLLMCallNode.touches_outside
    assert SingleLLMCallNode.default_timeout_s == 600
    assert set(SingleLLMCallNode.template_fields()) == {"system_message", "user_message"}
