"""A message in a Slack channel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from rowel.core.definition import NodeSpec
from rowel.core.errors import NodeFailed, Problem
from rowel.core.outcomes import Fields
from rowel.nodes.base import Config, Node
from rowel.nodes.context import Context
from rowel.nodes.integrations import Service
from rowel.nodes.templated import TemplatedFields, template_problems

_SLACK = Service("Slack", "https://slack.com/api", "SLACK_API_URL", is_repeatable=False)
_TEMPLATES = ("channel", "message")
_KEYS = {"bot": "SLACK_BOT_TOKEN", "user": "SLACK_USER_TOKEN"}


class SlackNotifyConfig(Config):
    channel: str = Field(default="", description="The channel's name or id, a template.")
    mode: Literal["bot", "user"] = Field(
        default="bot", description="Who writes: the bot (SLACK_BOT_TOKEN) or the user (SLACK_USER_TOKEN)."
    )
    message: str = Field(default="", description="A template. Empty: all that the node received, as JSON.")
    has_fixed_output: bool = True


class SlackNotifyNode(Node[SlackNotifyConfig]):
    """Writes a message into a Slack channel and passes on {status}. A message Slack refuses fails the node."""

    category = "Integrations"
    touches_outside = True

    def __init__(self, spec: NodeSpec, config: SlackNotifyConfig) -> None:
        super().__init__(spec, config)
        self._texts = TemplatedFields(config, *_TEMPLATES)

    @classmethod
    def problems(cls, spec: NodeSpec, config: SlackNotifyConfig) -> Iterable[Problem]:
        return template_problems(spec, config, _TEMPLATES)

    @classmethod
    def template_fields(cls) -> Sequence[str]:
        return _TEMPLATES

    async def run(self, inputs: Fields, context: Context) -> Fields:
        texts = self._texts.render(inputs)
        message = (
            texts["message"]
            if self.config.message.strip()
            else json.dumps(inputs, ensure_ascii=False, indent=2)
        )
        if not texts["channel"].strip():
            raise NodeFailed("channel: it is empty")
        body = {"channel": texts["channel"].strip(), "text": message}
        answer = await _SLACK.post("/chat.postMessage", body, _KEYS[self.config.mode], context)
        if not isinstance(answer, dict) or answer.get("ok") is not True:
            raise NodeFailed(f"Slack did not take the message: {_reason(answer)}")
        return {"status": "sent"}


def _reason(answer: object) -> str:
    reason = answer.get("error") if isinstance(answer, dict) else None
    return reason[:200] if isinstance(reason, str) else "it gave no reason"
