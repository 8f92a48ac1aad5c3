from __future__ import annotations

from typing import Any

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.builtin.http_request import HTTPRequestNode
from tests.support.nodes import build, outcome_of, problems_of
from tests.support.providers import Providers, Reply

BUSY = {"Retry-After": "0"}


async def outputs_of(context, inputs: dict[str, Any] | None = None, **config: Any) -> Any:
    return (await outcome_of(build(HTTPRequestNode, **config), inputs or {}, context)).outputs


async def failure_of(context, inputs: dict[str, Any] | None = None, **config: Any) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await outputs_of(context, inputs, **config)
    return failed.value


async def test_a_call_gives_status_headers_body_and_json(context, providers):
    providers.on("/a", Reply(body=b'{"x": [1, null]}', headers={"X-Kind": "k"}))

    outputs = await outputs_of(context, url=f"{providers.url}/a")

    assert outputs.keys() == {"status", "headers", "body", "json"}
    assert (outputs["status"], outputs["body"], outputs["json"]) == (
        200,
        '{"x": [1, null]}',
        {"x": [1, None]},
    )
    assert outputs["headers"]["x-kind"] == "k"


@pytest.mark.parametrize(
    ("content_type", "body", "parsed"),
    [
        ("application/json", b"5", 5),
        ("application/problem+json", b'"text"', "text"),
        ("application/json", b"not json", None),
        ("text/html", b"<p>5</p>", None),
        ("text/plain", b"5", None),
        ("text/plain", b' {"a": 1}', {"a": 1}),
        ("application/json", b"[NaN]", None),
        ("application/json", b"", None),
    ],
)
async def test_json_is_parsed_where_the_body_is_json(context, providers, content_type, body, parsed):
    providers.on("/a", Reply(body=body, headers={"content-type": content_type}))

    outputs = await outputs_of(context, url=f"{providers.url}/a")

    assert outputs["json"] == parsed
    assert outputs["body"] == body.decode()


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", b"Zo\xeb", "Zoë"),
        ('text/plain; charset="utf-8"', "Zoë".encode(), "Zoë"),
        ("text/plain; charset=unheard-of", "Zoë".encode(), "Zoë"),
        ("text/plain", b"\xff", "\ufffd"),
        ("", b"x", "x"),
    ],
)
async def test_the_body_is_read_in_its_character_set(context, providers, content_type, body, text):
    providers.on("/a", Reply(body=body, headers={"content-type": content_type}))

    assert (await outputs_of(context, url=f"{providers.url}/a"))["body"] == text


async def test_all_strings_are_templates(context, providers):
    await outputs_of(
        context,
        {"in": {"id": 7, "name": "Ann & Bob", "token": "t"}},
        method="put",
        url=providers.url + "/things/{{in.id}}",
        headers={"Authorization": "Bearer {{in.token}}", "X-Number": 5},
        query={"q": "{{in.name}}", "tags": ["{{in.id}}", "b"], "flag": True, "filter": {"a": 1}},
        body={"name": "{{in.name}}", "list": ["{{in.id}}", 2, {"deep": "{{in.name}}"}], "n": None},
    )

    (call,) = providers.calls
    assert (call.method, call.path) == ("PUT", "/things/7")
    assert (call.headers["authorization"], call.headers["x-number"]) == ("Bearer t", "5")
    assert call.query == {"q": ["Ann & Bob"], "tags": ["7", "b"], "flag": ["true"], "filter": ['{"a":1}']}
    assert call.headers["content-type"] == "application/json"
    assert call.json == {"name": "Ann & Bob", "list": ["7", 2, {"deep": "Ann & Bob"}], "n": None}


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ("plain ☃", "plain ☃", "text/plain; charset=utf-8"),
        ('{"a": 1}', '{"a": 1}', "application/json"),
        ([1, "ü"], '[1, "ü"]', "application/json"),
        ({}, "{}", "application/json"),
        (5, "5", "application/json"),
        (None, "", None),
        ("", "", None),
    ],
)
async def test_a_body_goes_out_as_what_it_is(context, providers, body, sent, content_type):
    await outputs_of(context, method="POST", url=providers.url, body=body)

    assert providers.calls[0].body.decode() == sent
    assert providers.calls[0].headers.get("content-type") == content_type


async def test_the_users_content_type_stays(context, providers):
    await outputs_of(
        context, method="POST", url=providers.url, body="a=1", headers={"content-type": "x/form"}
    )

    assert providers.calls[0].headers["content-type"] == "x/form"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_carries_the_task_as_idempotency_key(context, providers, method):
    await outputs_of(context, method=method, url=providers.url)

    assert providers.calls[0].headers["idempotency-key"] == context.task_id


async def test_a_read_carries_no_key_and_the_users_key_stays(context, providers):
    await outputs_of(context, method="GET", url=providers.url)
    await outputs_of(context, method="POST", url=providers.url, headers={"idempotency-key": "mine"})

    assert "idempotency-key" not in providers.calls[0].headers
    assert providers.calls[1].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("status", [404, 500])
async def test_an_answer_that_says_no_is_passed_on(context, providers, status):
    providers.on("/a", Reply(status=status, json={"error": "no"}))

    outputs = await outputs_of(context, url=f"{providers.url}/a")

    assert (outputs["status"], outputs["json"]) == (status, {"error": "no"})
    assert len(providers.calls) == 1


@pytest.mark.parametrize("status", [400, 404, 503])
async def test_such_an_answer_may_fail_the_node(context, providers, status):
    providers.on("/a", Reply(status=status))

    failed = await failure_of(context, url=f"{providers.url}/a", fail_on_status=True)

    assert failed.message == f"the call was answered with HTTP {status}"
    assert failed.details == {"status": status}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again_as_often_as_it_says(context, providers, status):
    providers.on("/a", Reply(status=status, headers=BUSY), Reply(status=status, headers=BUSY), {"ok": True})

    assert (await outputs_of(context, url=f"{providers.url}/a", retries=2))["json"] == {"ok": True}
    assert len(providers.calls) == 3


async def test_the_last_answer_is_passed_on_when_the_tries_are_used_up(context, providers):
    providers.on("/a", Reply(status=503, headers=BUSY))

    assert (await outputs_of(context, url=f"{providers.url}/a", retries=1))["status"] == 503
    assert len(providers.calls) == 2


async def test_all_tries_of_a_write_carry_the_same_key(context, providers):
    providers.on("/a", Reply(status=503, headers=BUSY), Reply())

    await outputs_of(context, method="POST", url=f"{providers.url}/a", retries=1)

    assert [call.headers["idempotency-key"] for call in providers.calls] == [context.task_id] * 2


async def test_a_call_without_an_answer_fails_and_may_pass(context, providers):
    providers.on("/a", Reply(cut=True))

    assert (await failure_of(context, url=f"{providers.url}/a")).retryable


async def test_an_address_inside_is_refused(context, providers):
    with Providers() as inside:
        failed = await failure_of(context, {"in": {"url": inside.url}}, url="{{in.url}}/admin")

        assert "not a public address" in failed.message
        assert inside.calls == []


async def test_a_template_that_asks_for_what_is_not_there_fails(context, providers):
    failed = await failure_of(context, url=providers.url, headers={"X": "{{in.x}}"})

    assert failed.message.startswith("headers.X: line 1")
    assert providers.calls == []


async def test_text_that_is_no_unicode_can_not_be_sent(context, providers):
    failed = await failure_of(
        context, {"in": {"x": "\ud800"}}, method="POST", url=providers.url, body="{{in.x}}"
    )

    assert "not valid Unicode" in failed.message


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "config.url"),
        ({"url": ""}, "config.url"),
        ({"url": "http://x", "method": "FETCH"}, "config.method"),
        ({"url": "http://x", "retries": -1}, "config.retries"),
        ({"url": "http://x", "retries": 11}, "config.retries"),
        ({"url": "{{ x"}, "config.url"),
        ({"url": "http://x", "headers": {"A": "{{ x"}}, "config.headers.A"),
        ({"url": "http://x", "query": {"a": ["{{ x"]}}, "config.query.a.0"),
        ({"url": "http://x", "body": {"a": [{"b": "{{ x"}]}}, "config.body.a.0.b"),
    ],
)
def test_a_config_that_can_not_work_is_refused(config, problem):
    assert any(found.startswith(f"{problem}:") for found in problems_of(HTTPRequestNode, **config))


def test_it_says_what_it_is():
    assert HTTPRequestNode.touches_outside
    assert HTTPRequestNode.default_timeout_s == 60
    assert set(HTTPRequestNode.template_fields()) == {"url", "headers", "query", "body"}
