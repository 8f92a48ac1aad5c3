"""What the nodes that ask a model have in common: their config, and the messages that come of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rowel.core import jsontext
from rowel.core.errors import Invalid, NodeFailed
from rowel.core.outcomes import Fields
from rowel.core.paths import look_up
from rowel.core.schemas import Schema
from rowel.nodes.answers import AnswerReader
from rowel.nodes.base import Config
from rowel.nodes.context import Answer, Context, Message, ModelSettings
from rowel.nodes.templated import TemplatedFields

_ROLES = frozenset({"system", "user", "assistant"})


class LLMInfo(BaseModel):
    """Which model, and how it is to answer. What is absent or null is left to the provider."""

    model_config = ConfigDict(extra="allow", frozen=True)

    model: str = Field(
        min_length=1,
        max_length=256,
        description="provider/name, such as anthropic/claude-opus-4-8; a bare name is OpenAI's.",
    )
    max_tokens: int | None = Field(default=None, ge=1, description="The longest answer, in tokens.")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="0 is steady, higher is livelier."
    )
    top_p: float | None = Field(default=None, ge=0, le=1, description="The share of likely words considered.")

    @property
    def settings(self) -> ModelSettings:
        return ModelSettings(self.temperature, self.max_tokens, self.top_p)


class Example(BaseModel):
    """One question and the answer it should get."""

    model_config = ConfigDict(extra="allow", frozen=True)

    input: str = ""
    output: str = ""


class LLMConfig(Config):
    """What every node that asks a model has."""

    llm_info: LLMInfo
    system_message: str = Field(default="You are a helpful assistant.", description="A template.")
    user_message: str = Field(
        default="",
        description="A template. Empty: the model gets its files, or else all the node received, as JSON.",
    )
    few_shot_examples: list[Example] | None = Field(
        default=None, description="Questions with the answers they should get."
    )
    url_variables: dict[str, str | None] | None = Field(
        default=None,
        description="{name: title.path} of files for the model: data URIs, addresses or uploaded files.",
    )
    enable_message_history: bool = False
    message_history_variable: str | None = Field(
        default=None, description="title.path of earlier messages, a list of {role, content}."
    )


class Prompt:
    """A node's messages, ready to be rendered, and the reader of the answers."""

    def __init__(self, config: LLMConfig) -> None:
        """Raises `Invalid`, naming the field, where a template or the output schema can't work."""
        self._config = config
        self._texts = TemplatedFields(config, "system_message", "user_message")
        schema = Schema.of(config, "output_json_schema", "output_schema")
        self.reader = AnswerReader(schema, enforced=config.enforce_schema)

    def messages(self, inputs: Fields) -> list[Message]:
        """Return system message, examples, history and user message for what the node received.

        Raises `NodeFailed` where a template or a path asks for what is not there.
        """
        texts = self._texts.render(inputs)
        system = [Message("system", texts["system_message"])] if texts["system_message"].strip() else []
        try:
            user = self._user_message(texts["user_message"], inputs)
            return [*system, *self._examples(), *self._history(inputs), user]
        except Invalid as error:
            raise NodeFailed(error.message) from None

    async def ask(self, messages: list[Message], context: Context, idempotency_key: str) -> Answer:
        """Ask the config's model for an answer of the output schema, and count what it cost."""
        info = self._config.llm_info
        answer = await context.services.llm.ask(
            info.model,
            messages,
            info.settings,
            json_schema=self.reader.wanted,
            idempotency_key=idempotency_key,
            caller=context.caller,
        )
        context.spend(answer.usage)
        return answer

    def _user_message(self, text: str, inputs: Fields) -> Message:
        files = self._files(inputs)
        if files or self._config.user_message.strip():
            return Message("user", text, files)
        return Message("user", json.dumps(inputs, ensure_ascii=False, indent=2))

    def _examples(self) -> Iterable[Message]:
        for example in self._config.few_shot_examples or ():
            yield Message("user", example.input)
            yield Message("assistant", example.output)

    def _history(self, inputs: Fields) -> Iterable[Message]:
        path = self._config.message_history_variable
        if not self._config.enable_message_history or not path:
            return
        earlier = look_up(inputs, path)
        if earlier is not None and not isinstance(earlier, list):
            raise Invalid(f"message_history_variable: {path!r} is not a list of messages")
        for message in earlier or ():
            yield _message(message, path)

    def _files(self, inputs: Fields) -> tuple[str, ...]:
        paths = [path for path in (self._config.url_variables or {}).values() if path]
        return tuple(file for path in paths for file in _references(look_up(inputs, path), path))


def _message(message: Any, path: str) -> Message:
    role = message.get("role") if isinstance(message, Mapping) else None
    if role not in _ROLES:
        raise Invalid(
            f"message_history_variable: {path!r} holds what is not a message of system, user or assistant"
        )
    content = message.get("content")
    return Message(str(role), content if isinstance(content, str) else jsontext.dump(content))


def _references(value: Any, path: str) -> list[str]:
    """Return the files that a value names. Nothing there is no file: a workflow may run without one."""
    references = value if isinstance(value, list) else [value]
    if not all(reference is None or isinstance(reference, str) for reference in references):
        raise Invalid(f"url_variables: {path!r} is not a file's address or path, nor a list of them")
    return [reference for reference in references if reference]
