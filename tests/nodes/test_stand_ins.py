"""The stand-ins themselves: what other tests and the demo build on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from tests.support.providers import Providers, Reply
from tests.support.source import ROOT


def post(url: str, body: object, method: str = "POST") -> object:
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"}, method=method)
    with urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def get(url: str) -> object:
    with urlopen(url, timeout=30) as answer:
        return json.load(answer)


def ask(url: str, text: str, **more: object) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    answer = post(f"{url}/v1/chat/completions", body)
    return answer["choices"][0]["message"]["content"]  # type: ignore[index]


@pytest.fixture
def process() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.support.providers", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield running.stdout.readline().strip()
        running.kill()


def test_a_script_is_followed_step_by_step_and_its_last_step_stays():
    with Providers() as providers:
        providers.answer("one", lambda call: call.user.upper(), {"a": 1})

        assert [ask(providers.url, "hi") for _ in range(4)] == ["one", "HI", '{"a": 1}', '{"a": 1}']


def test_without_a_script_a_model_fills_in_the_schema():
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "l": {"type": "array"}, "e": {"enum": ["x"]}},
    }
    with Providers() as providers:
        text = ask(
            providers.url, "hi", response_format={"type": "json_schema", "json_schema": {"schema": schema}}
        )

    assert json.loads(text) == {"n": 1, "l": ["Answer to: hi"], "e": "x"}


def test_paths_have_scripts_of_their_own():
    with Providers() as providers:
        providers.on("/a", {"first": True}, Reply(status=201, json="second"))

        assert [post(f"{providers.url}/a", {}) for _ in range(2)] == [{"first": True}, "second"]
        assert post(f"{providers.url}/b?c=1", {"d": 2})["query"] == {"c": ["1"]}  # type: ignore[index]
        assert len(providers.to("/a")) == 2


def test_as_a_process_it_tells_its_url_and_what_it_was_asked(process):
    assert ask(process, "hi") == "Answer to: hi"

    (call,) = get(f"{process}/_calls")
    assert (call["path"], call["body"]["model"]) == ("/v1/chat/completions", "m")
    post(f"{process}/_calls", None, "DELETE")
    assert get(f"{process}/_calls") == []
