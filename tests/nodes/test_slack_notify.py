from __future__ import annotations

import json
from typing import Any

import pytest

from rowel.core.errors import NodeFailed
from rowel.nodes.builtin.slack_notify import SlackNotifyNode
from tests.support.contexts import make_context, make_services
from tests.support.nodes import build, outcome_of, problems_of
from tests.support.providers import Reply

INPUTS = {"CoalesceNode_1": {"output": "three ideas"}}
CONFIG = {"channel": "learning", "mode": "bot", "message": "Summary\n\n{{CoalesceNode_1.output}}"}
PATH = "/api/chat.postMessage"


async def outputs_of(context, **changes: Any) -> Any:
    return (await outcome_of(build(SlackNotifyNode, **{**CONFIG, **changes}), INPUTS, context)).outputs


async def failure_of(context, **changes: Any) -> NodeFailed:
    with pytest.raises(NodeFailed) as failed:
        await outputs_of(context, **changes)
    return failed.value


async def test_a_message_is_posted(context, providers):
    assert await outputs_of(context) == {"status": "sent"}

    (call,) = providers.calls
    assert (call.method, call.path) == ("POST", PATH)
    assert call.json == {"channel": "learning", "text": "Summary\n\nthree ideas"}
    assert call.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(("mode", "token"), [("bot", "xoxb-0123456789"), ("user", "xoxp-0123456789")])
async def test_the_mode_says_who_writes(context, providers, mode, token):
    await outputs_of(context, mode=mode)

    assert providers.calls[0].headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(("mode", "variable"), [("bot", "SLACK_BOT_TOKEN"), ("user", "SLACK_USER_TOKEN")])
async def test_a_missing_token_is_named_by_its_variable(http, mode, variable):
    failed = await failure_of(make_context(make_services(http=http)), mode=mode)

    assert failed.message == f"Slack needs a key: set {variable} in the server's environment"


async def test_without_a_message_all_that_was_received_is_posted(context, providers):
    await outputs_of(context, message=" ")

    assert json.loads(providers.calls[0].json["text"]) == INPUTS


async def test_the_channel_is_a_template_too(context, providers):
    await outputs_of(context, channel="#{{CoalesceNode_1.output}}")

    assert providers.calls[0].json["channel"] == "#three ideas"


async def test_a_message_to_nowhere_is_not_sent(context, providers):
    assert "channel" in (await failure_of(context, channel="")).message
    assert providers.calls == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"ok": False, "error": "channel_not_found"}, "channel_not_found"),
        ({"ok": False}, "no reason"),
        ({}, "no reason"),
        (Reply(json=[]), "no reason"),
        (Reply(body=b"<html>"), "not JSON"),
    ],
)
async def test_a_message_that_slack_does_not_take_fails(context, providers, answer, said):
    providers.on(PATH, answer)

    assert said in (await failure_of(context)).message


async def test_it_waits_when_slack_is_busy(context, providers):
    providers.on(PATH, Reply(status=429, headers={"Retry-After": "0"}), {"ok": True})

    assert await outputs_of(context) == {"status": "sent"}
    assert len(providers.calls) == 2


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(cut=True)])
async def test_a_message_that_may_have_arrived_is_not_sent_twice(context, providers, reply):
    providers.on(PATH, reply)

    assert (await failure_of(context)).retryable
    assert len(providers.calls) == 1


@pytest.mark.parametrize(
    ("changes", "problem"), [({"mode": "robot"}, "config.mode"), ({"message": "{{ x"}, "config.message")]
)
def test_a_config_that_can_not_work_is_refused(changes, problem):
    (found,) = problems_of(SlackNotifyNode, **{**CONFIG, **changes})

    assert found.startswith(f"{problem}:")


def test_it_says_what_it_is():
    assert SlackNotifyNode.touches_outside
    assert set(SlackNotifyNode.template_fields()) == {"channel", "message"}
