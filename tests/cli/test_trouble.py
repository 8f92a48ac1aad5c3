"""What a command says and ends with when the server is missing, busy, foreign or unwilling."""

from __future__ import annotations

import pytest

from tests.support.commands import Commands
from tests.support.providers import Providers, Reply
from tests.support.server import free_port


def test_where_no_server_answers_it_says_how_to_start_one_and_ends_with_3() -> None:
    ended = Commands(f"http://127.0.0.1:{free_port()}")("runs")

    assert (ended.code, ended.out) == (3, "")
    assert "no Rowel server answers" in ended.err
    assert "rowel serve" in ended.err


@pytest.mark.parametrize(
    ("reply", "code", "told"),
    [
        (
            Reply(status=503, json={"detail": "The store is full.", "code": "unavailable"}),
            3,
            "The store is full.",
        ),
        (Reply(status=429, json={"detail": "Too many.", "code": "busy"}), 3, "Too many."),
        (Reply(status=502, body=b"<h1>Bad Gateway</h1>"), 3, "502"),
        (Reply(body=b"<h1>Welcome</h1>"), 3, "not JSON"),
        (Reply(json={"hello": "you"}), 3, "not a valid Run"),
        (Reply(status=401, json={"detail": "A key is needed", "code": "no_key"}), 4, "ROWEL_API_KEY"),
        (Reply(status=404, json={"detail": "There is no run 'x'.", "code": "not_found"}), 4, "no run 'x'"),
        (
            Reply(status=422, json={"detail": [{"loc": ["query", "slim"], "msg": "odd"}]}),
            4,
            "query.slim: odd",
        ),
        (Reply(cut=True), 3, "was lost"),
    ],
)
def test_each_trouble_has_its_sentence_and_code(
    stranger: Providers, reply: Reply, code: int, told: str
) -> None:
    stranger.on("/run/x/", reply)

    ended = Commands(stranger.url)("show", "x", "--json")

    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("rowel: ")
    assert told in ended.err


@pytest.mark.parametrize("words", [("--url", "localhost:6080"), ("--url", ""), ("--api-key", "kéy")])
def test_an_address_or_key_that_can_not_be_ends_with_2(rowel: Commands, words: tuple[str, str]) -> None:
    assert rowel("runs", *words).code == 2


def test_the_key_is_sent_and_never_shown(stranger: Providers) -> None:
    stranger.on("/run/x/", Reply(status=403, json={"detail": "Your role may not", "code": "forbidden"}))

    ended = Commands(stranger.url)("show", "x", ROWEL_API_KEY="rk-very-secret")

    (call,) = stranger.to("/run/x/")
    assert call.headers["authorization"] == "Bearer rk-very-secret"
    assert "very-secret" not in ended.out + ended.err


def test_a_workflow_without_input_node_takes_no_inputs(stranger: Providers) -> None:
    workflow = {"id": "w", "name": "w", "definition": {"nodes": [], "links": []}}
    stranger.on("/wf/w/", Reply(json=workflow))
    stranger.on("/node/supported_types/", Reply(json={}))

    ended = Commands(stranger.url)("run", "w", "-i", "a=1")

    assert ended.code == 4
    assert "has no input node" in ended.err
