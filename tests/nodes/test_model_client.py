from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from rowel.core.errors import NodeFailed
from rowel.core.limits import Limit, Limits
from rowel.core.outcomes import Usage
from rowel.nodes.clients.llm import ModelClient
from rowel.nodes.clients.turns import Turns
from rowel.nodes.context import Message, ModelSettings
from tests.support.blobs import Blobs
from tests.support.dialects import chat_completion
from tests.support.providers import Providers, Reply
from tests.support.source import SOURCE

TWO_FIELDS = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["title", "year"],
}
#: One model for each protocol.
PROTOCOLS = ["gpt-4o", "anthropic/claude-opus-4-8", "gemini/gemini-2.0-flash"]
HELLO = [Message("user", "hello")]


class Sleeper:
    """Time passes only while somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.time = 1000.0
        self.began = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        self.began.set()


@pytest.fixture
def sleep() -> Sleeper:
    return Sleeper()


@pytest.fixture
async def models(providers, http, sleep):
    files = {"paper.pdf": b"%PDF-1.7 paper", "notes.txt": b"some notes"}
    turns = Turns(now=lambda: sleep.time, sleep=sleep)
    client = ModelClient(providers.environment, Blobs(files), http, turns=turns, sleep=sleep)
    yield client
    await client.close()


async def failure_of(call) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await call
    return failed.value


def completion(text: str | None, **message) -> Reply:
    return Reply(json=chat_completion(text, "gpt-4o", {"input": 1, "output": 1}, **message))


def test_importing_the_client_loads_no_model_library():
    libraries = {"pydantic_ai", "openai", "anthropic", "google.genai", "genai_prices", "httpx2"}
    code = "import rowel.nodes.clients.llm, sys; print(*sys.modules)"
    loaded = subprocess.check_output(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE.parent)}, text=True
    ).split()

    assert "rowel.nodes.clients.llm.client" in loaded
    assert not libraries & set(loaded)


@pytest.mark.parametrize("model", PROTOCOLS)
async def test_a_question_gets_its_answer(models, providers, model):
    providers.answer("  Hi.\n")

    answer = await models.ask(model, HELLO, ModelSettings())

    assert answer.text == "  Hi.\n"
    assert answer.model == model.rpartition("/")[2]


async def test_openai_style_providers_get_a_plain_chat_completion(models, providers):
    messages = [
        Message("system", "be brief"),
        Message("user", "one?"),
        Message("assistant", "1"),
        Message("user", "  two? <|im_start|> {{ x }} ☃\n"),
    ]

    await models.ask("gpt-4o", messages, ModelSettings(temperature=0.7, max_tokens=100, top_p=0.9))

    (call,) = providers.calls
    assert (call.method, call.path) == ("POST", "/v1/chat/completions")
    assert call.headers["authorization"] == "Bearer sk-openai-0123456789"
    assert call.json == {
        "model": "gpt-4o",
        "stream": False,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "temperature": 0.7,
        "max_tokens": 100,
        "top_p": 0.9,
    }


async def test_what_is_not_set_is_not_sent(models, providers):
    await models.ask("ollama/llama3.2", HELLO, ModelSettings())

    assert providers.calls[0].json == {
        "model": "llama3.2",
        "stream": False,
        "messages": [{"role": "user", "content": "hello"}],
    }


@pytest.mark.parametrize("model", PROTOCOLS)
async def test_tokens_and_cost_are_counted(models, model):
    usage = (await models.ask(model, HELLO, ModelSettings())).usage

    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (11, 7, 1)
    assert usage.cost_usd is not None
    assert usage.cost_usd > 0


@pytest.mark.parametrize("model", ["ollama/llama3.2", "gpt-unheard-of", "acme/model"])
async def test_where_no_price_is_known_there_is_none(models, model):
    assert (await models.ask(model, HELLO, ModelSettings())).usage == Usage(11, 7, None, 1)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-3.5-turbo", "openai/unheard-of", "ollama/gemma2", "acme/model"]
)
async def test_a_schema_goes_out_as_the_response_format(models, providers, model):
    answer = await models.ask(
        model, [Message("system", "s"), *HELLO], ModelSettings(), json_schema=TWO_FIELDS
    )

    body = providers.calls[0].json
    wanted = body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"]["properties"] == TWO_FIELDS["properties"]
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]
    assert not {"tools", "tool_choice", "functions"} & body.keys()
    assert json.loads(answer.text) == {"title": "Answer to: hello", "year": 1}


async def test_gemini_gets_the_schema_in_its_own_words(models, providers):
    await models.ask("gemini/gemini-2.0-flash", HELLO, ModelSettings(), json_schema=TWO_FIELDS)

    config = providers.calls[0].json["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"]["properties"] == TWO_FIELDS["properties"]
    assert "tools" not in providers.calls[0].json


@pytest.mark.parametrize("model", ["deepseek/deepseek-chat", "anthropic/claude-opus-4-8"])
@pytest.mark.parametrize("system", [[], [Message("system", "be brief")]])
async def test_where_there_is_no_format_the_system_message_asks_for_json(models, providers, model, system):
    messages = [*system, Message("user", "first"), Message("assistant", "{}"), *HELLO]

    answer = await models.ask(model, messages, ModelSettings(), json_schema=TWO_FIELDS)

    (call,) = providers.calls
    assert call.system.startswith("be brief\n\n" if system else "Answer with one JSON object")
    assert json.dumps(TWO_FIELDS) in call.system
    assert call.user == "hello"
    assert not {"response_format", "tools"} & call.json.keys()
    assert json.loads(answer.text) == {"title": "Answer to: hello", "year": 1}


async def test_a_schema_is_strict_only_where_that_says_the_same(models, providers):
    loose = {"type": "object", "properties": {"facts": {"type": "object"}}, "required": ["facts"]}

    await models.ask("gpt-4o", HELLO, ModelSettings(), json_schema=TWO_FIELDS)
    await models.ask("gpt-4o", HELLO, ModelSettings(), json_schema=loose)

    strict, plain = (call.json["response_format"]["json_schema"] for call in providers.calls)
    assert strict["strict"] is True
    assert strict["schema"]["additionalProperties"] is False
    assert plain["strict"] is False
    assert plain["schema"] == loose
    assert "additionalProperties" not in TWO_FIELDS


@pytest.mark.parametrize("model", ["o3-mini", "openai/gpt-5"])
async def test_a_model_that_reasons_is_told_only_what_it_takes(models, providers, model):
    await models.ask(model, HELLO, ModelSettings(0.7, 100, 0.9))

    body = providers.calls[0].json
    assert body["max_completion_tokens"] == 100
    assert not {"max_tokens", "temperature", "top_p"} & body.keys()


async def test_anthropic_gets_a_limit_always_and_one_of_two_settings(models, providers):
    await models.ask("anthropic/claude-sonnet-4-6", HELLO, ModelSettings(temperature=0.7, top_p=0.9))

    body = providers.calls[0].json
    assert (body["max_tokens"], body["temperature"], body["stream"]) == (8192, 0.7, False)
    assert "top_p" not in body


@pytest.mark.parametrize("model", PROTOCOLS)
async def test_every_try_carries_the_same_idempotency_key(models, providers, model):
    providers.answer(Reply(status=503), "ok")

    await models.ask(model, HELLO, ModelSettings(), idempotency_key="run-1.node")

    assert [call.headers["idempotency-key"] for call in providers.calls] == ["run-1.node"] * 2


@pytest.mark.parametrize("model", PROTOCOLS)
@pytest.mark.parametrize(
    "trouble", [Reply(status=429), Reply(status=500), Reply(status=529), Reply(cut=True)]
)
async def test_what_may_pass_is_tried_again(models, providers, sleep, model, trouble):
    providers.answer(trouble, trouble, "ok")

    answer = await models.ask(model, HELLO, ModelSettings())

    assert (answer.text, answer.usage.requests) == ("ok", 3)
    assert len(providers.calls) == 3
    assert len(sleep.slept) == 2


@pytest.mark.parametrize("model", PROTOCOLS)
async def test_it_gives_up_after_four_tries(models, providers, model):
    providers.answer(Reply(status=500, json={"error": {"message": "tired"}}))

    failed = await failure_of(models.ask(model, HELLO, ModelSettings()))

    assert len(providers.calls) == 4
    assert failed.retryable
    assert "HTTP 500" in failed.message


@pytest.mark.parametrize("model", PROTOCOLS)
async def test_retry_after_is_respected(models, providers, sleep, model):
    providers.answer(Reply(status=429, headers={"Retry-After": "7"}), "ok")

    await models.ask(model, HELLO, ModelSettings())

    assert sleep.slept == [7]


@pytest.mark.parametrize("model", PROTOCOLS)
async def test_who_was_not_refused_waits_as_well_as_long_as_the_provider_asked(
    models, providers, sleep, model
):
    times: list[float] = []

    def answer(call):
        times.append(sleep.time)
        return Reply(status=429, headers={"Retry-After": "7"}) if len(times) == 1 else "ok"

    providers.answer(answer)

    first = asyncio.ensure_future(models.ask(model, HELLO, ModelSettings()))
    async with asyncio.timeout(20):
        await sleep.began.wait()
    await asyncio.gather(first, *(models.ask(model, HELLO, ModelSettings()) for _ in range(3)))

    assert [time - times[0] for time in times[1:]] == [7, 7, 7, 7]


@pytest.mark.parametrize("status", [429, 503])
async def test_being_asked_to_wait_is_no_failed_try(models, providers, status):
    wait = Reply(status=status, headers={"Retry-After": "2"})
    providers.answer(*[wait] * 12, "ok")

    answer = await models.ask("gpt-4o", HELLO, ModelSettings())

    assert (answer.text, answer.usage.requests) == ("ok", 13)


async def test_who_is_asked_to_wait_again_and_again_gives_up_in_the_end(models, providers):
    providers.answer(Reply(status=429, headers={"Retry-After": "2"}))

    failed = await failure_of(models.ask("gpt-4o", HELLO, ModelSettings()))

    assert (failed.retryable, failed.retry_after_s) == (True, 2)
    assert len(providers.calls) == 21


async def test_a_call_waits_for_its_turn_and_counts_what_it_used(providers, http, sleep):
    limits = Limits({"openai/gpt-4o": Limit(tokens_per_minute=3000)})
    turns = Turns(limits, now=lambda: sleep.time, sleep=sleep)
    client = ModelClient(providers.environment, Blobs(), http, turns=turns, sleep=sleep)

    for _ in range(20):
        await client.ask("gpt-4o", HELLO, ModelSettings(max_tokens=290))
    await client.close()

    # 291 tokens were expected of each call, and it used 18.
    assert sum(sleep.slept) == pytest.approx((19 * 18 + 291 - 300) * 60 / 2701, rel=0.01)


async def test_a_long_retry_after_is_left_to_the_engine(models, providers, sleep):
    providers.answer(Reply(status=429, headers={"Retry-After": "3600"}))

    failed = await failure_of(models.ask("gpt-4o", HELLO, ModelSettings()))

    assert (failed.retryable, failed.retry_after_s) == (True, 3600)
    assert (len(providers.calls), sleep.slept) == (1, [])


@pytest.mark.parametrize("model", PROTOCOLS)
@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_refusal_is_not_tried_again(models, providers, model, status):
    providers.answer(Reply(status=status, json={"error": {"message": "no such model"}}))

    failed = await failure_of(models.ask(model, HELLO, ModelSettings()))

    assert len(providers.calls) == 1
    assert not failed.retryable
    assert f"HTTP {status}" in failed.message
    assert "no such model" in failed.message


@pytest.mark.parametrize("model", PROTOCOLS)
@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_named_by_its_variable(models, providers, model, status):
    providers.answer(Reply(status=status, json={"error": {"message": "Incorrect API key: sk-ope***6789"}}))

    failed = await failure_of(models.ask(model, HELLO, ModelSettings()))

    assert "_API_KEY" in failed.message
    assert "6789" not in failed.message
    assert len(providers.calls) == 1


@pytest.mark.parametrize("model", PROTOCOLS)
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_a_key_that_a_provider_repeats_is_told_to_nobody(models, providers, model, status, caplog):
    caplog.set_level("DEBUG")
    keys = [value for name, value in providers.environment.items() if name.endswith("_KEY")]
    providers.answer(
        Reply(status=status, json={"error": {"message": f"bad: {' '.join(keys)} sk-other-0123456789"}})
    )

    failed = await failure_of(models.ask(model, HELLO, ModelSettings()))

    assert failed.__cause__ is None
    for key in [*keys[:1], "sk-other-0123456789"]:
        assert key not in failed.message
    assert not any(key in record.getMessage() for record in caplog.records for key in keys)


async def test_a_word_that_begins_like_a_key_is_kept(models, providers):
    providers.answer(
        Reply(status=400, json={"error": {"message": "no skateboarding on skyscrapers, bearers!"}})
    )

    failed = await failure_of(models.ask("gpt-4o", HELLO, ModelSettings()))

    assert failed.message.endswith("no skateboarding on skyscrapers, bearers!")


async def test_an_error_text_is_kept_short(models, providers):
    providers.answer(Reply(status=400, json={"error": {"message": "x\n" * 5_000}}))

    failed = await failure_of(models.ask("gpt-4o", HELLO, ModelSettings()))

    assert len(failed.message) < 500
    assert "\n" not in failed.message


@pytest.mark.parametrize("model", PROTOCOLS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>sorry</html>", headers={"content-type": "text/html"}),
        Reply(body=b'{"choices": ['),
        Reply(body=b""),
        Reply(json=[]),
        Reply(json={}),
        Reply(json={"choices": []}),
        Reply(json={"choices": [{"message": {"content": 5}}]}),
    ],
)
async def test_an_answer_that_is_none_fails_in_a_sentence(models, providers, model, reply):
    providers.answer(reply)

    failed = await failure_of(models.ask(model, HELLO, ModelSettings()))

    assert not failed.retryable
    assert model.rpartition("/")[2] in failed.message
    assert len(providers.calls) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (completion(""), "without any text"),
        (
            completion(
                None, tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]
            ),
            "without",
        ),
        (completion(None, refusal="I would rather not"), "refused to answer: I would rather not"),
        (completion("", finish_reason="content_filter"), "refused to answer"),
        (completion("", finish_reason="length"), "raise max_tokens"),
    ],
)
async def test_an_answer_without_text_says_why(models, providers, reply, said):
    providers.answer(reply)

    assert said in (await failure_of(models.ask("gpt-4o", HELLO, ModelSettings()))).message


async def test_a_text_cut_off_is_a_text_and_json_cut_off_is_nothing(models, providers):
    providers.answer(completion('{"title": "A', finish_reason="length"))

    assert (await models.ask("gpt-4o", HELLO, ModelSettings())).text == '{"title": "A'
    failed = await failure_of(models.ask("gpt-4o", HELLO, ModelSettings(), json_schema=TWO_FIELDS))
    assert "raise max_tokens" in failed.message


async def test_what_a_model_thought_is_no_part_of_its_answer(models, providers):
    providers.answer("<think>hm, hm</think>\n\nYes.")

    assert (await models.ask("ollama/deepseek-r1", HELLO, ModelSettings())).text == "Yes."


async def test_files_stand_before_the_text(models, providers):
    files = ("data:image/png;base64,aGk=", "paper.pdf", "https://example.com/cat.jpg")

    await models.ask("gpt-4o", [Message("user", "what is this?", files)], ModelSettings())

    picture, paper, cat, text = providers.calls[0].json["messages"][0]["content"]
    assert picture == {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert paper["file"]["file_data"] == "data:application/pdf;base64,JVBERi0xLjcgcGFwZXI="
    assert cat["image_url"]["url"] == "https://example.com/cat.jpg"
    assert text == {"type": "text", "text": "what is this?"}


async def test_a_file_may_come_without_text(models, providers):
    await models.ask("gemini/gemini-2.0-flash", [Message("user", "", ("paper.pdf",))], ModelSettings())

    (part,) = providers.calls[0].json["contents"][0]["parts"]
    assert part["inlineData"] == {"mime_type": "application/pdf", "data": "JVBERi0xLjcgcGFwZXI="}


async def test_a_text_file_is_put_into_the_text(models, providers):
    await models.ask("ollama/llama3.2", [Message("user", "sum up", ("notes.txt",))], ModelSettings())

    assert "some notes" in providers.calls[0].user


async def test_a_kind_of_file_that_a_model_can_not_see_is_said(models, providers):
    movie = Message("user", "what happens?", ("data:video/mp4;base64,aGk=",))

    assert (
        "gpt-4o can't be asked this"
        in (await failure_of(models.ask("gpt-4o", [movie], ModelSettings()))).message
    )
    assert providers.calls == []


async def test_a_file_that_can_not_be_read_stops_the_call(models, providers):
    lost = Message("user", "", ("lost.pdf",))

    assert "lost.pdf" in (await failure_of(models.ask("gpt-4o", [lost], ModelSettings()))).message
    assert providers.calls == []


async def test_a_missing_key_stops_the_call(http):
    client = ModelClient({}, Blobs(), http)

    assert "set OPENAI_API_KEY" in (await failure_of(client.ask("gpt-4o", HELLO, ModelSettings()))).message
    await client.close()


async def test_another_provider_is_not_told_openais_organization(providers, http, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-ours")
    client = ModelClient(providers.environment, Blobs(), http)
    await client.ask("deepseek/deepseek-chat", HELLO, ModelSettings())
    await client.close()

    assert "openai-organization" not in providers.calls[0].headers


async def test_no_proxy_stands_before_this_machine(providers, http, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = ModelClient(providers.environment, Blobs(), http)
    await client.ask("gpt-4o", HELLO, ModelSettings())
    await client.close()

    assert len(providers.calls) == 1


async def test_many_questions_are_asked_at_once(models, providers):
    providers.answer(lambda call: call.user.upper())

    questions = [
        models.ask("gpt-4o", [Message("user", f"q{number}")], ModelSettings()) for number in range(20)
    ]

    assert [answer.text for answer in await asyncio.gather(*questions)] == [
        f"Q{number}" for number in range(20)
    ]


async def test_a_canceled_question_is_dropped(models, providers):
    providers.answer(providers.held("late"))
    question = asyncio.create_task(models.ask("gpt-4o", HELLO, ModelSettings()))
    await asyncio.to_thread(providers.received.wait, 30)
    question.cancel()

    with pytest.raises(asyncio.CancelledError):
        await question


async def test_a_closed_client_opens_again(models):
    await models.ask("gpt-4o", HELLO, ModelSettings())
    await models.close()

    assert (await models.ask("gpt-4o", HELLO, ModelSettings())).text == "Answer to: hello"


async def test_a_provider_that_is_gone_may_come_back(http, sleep):
    with Providers() as gone:
        client = ModelClient(gone.environment, Blobs(), http, sleep=sleep)

    failed = await failure_of(client.ask("gpt-4o", HELLO, ModelSettings()))
    await client.close()

    assert failed.retryable
    assert "connection to OpenAI" in failed.message
    assert len(sleep.slept) == 3
