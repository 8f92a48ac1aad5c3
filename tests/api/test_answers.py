"""How answers and refusals are written."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from rowel.api.answers import answer, disposition
from rowel.api.errors import LastResort, mistake, refusal, register, status_of
from rowel.core import errors
from rowel.core.errors import (
    Busy,
    Conflict,
    InvalidDataset,
    InvalidDefinition,
    InvalidForm,
    InvalidInputs,
    NodeFailed,
    NotFound,
    Problem,
    RowelError,
    TooLarge,
    Unavailable,
)


@pytest.mark.parametrize("value", ["\ud800\x00", 10**1000, -0.0, "é", {"\ud800": [None, True, 1.5]}])
def test_values_are_written_as_they_are(value: object) -> None:
    written = bytes(answer({"value": value}).body)

    assert written.isascii()
    assert json.loads(written) == {"value": value}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("x"), 404, "not_found"),
        (InvalidInputs("x"), 400, "invalid_inputs"),
        (InvalidForm("x"), 422, "invalid_form"),
        (InvalidDataset("x"), 422, "invalid_dataset"),
        (TooLarge("x"), 413, "too_large"),
        (Conflict("x"), 409, "conflict"),
        (Conflict("x", "not_paused"), 409, "not_paused"),
        (Busy("x"), 429, "busy"),
        (Unavailable("x"), 503, "unavailable"),
    ],
)
def test_each_error_has_its_status_and_word(error: RowelError, status: int, code: str) -> None:
    found = refusal(error)

    assert found.status_code == status
    assert json.loads(bytes(found.body)) == {"detail": "x", "code": code}


def test_no_error_of_the_core_is_without_a_status_of_its_own() -> None:
    kinds = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RowelError)
    }

    assert {kind for kind in kinds if status_of(kind) == 500} == {RowelError, NodeFailed}


@pytest.mark.parametrize("error", [Busy("x"), Unavailable("x")])
def test_who_may_try_again_reads_when(error: RowelError) -> None:
    assert int(refusal(error).headers["retry-after"]) > 0


def test_a_bad_definition_lists_its_problems_with_their_places() -> None:
    found = json.loads(
        bytes(refusal(InvalidDefinition([Problem("is odd", "n", "title"), Problem("is empty")])).body)
    )

    assert found["problems"] == [
        {"message": "is odd", "node_id": "n", "field": "title"},
        {"message": "is empty", "node_id": None, "field": None},
    ]
    assert found["detail"] == "node 'n', title: is odd; definition: is empty"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("batch_1.jsonl", 'attachment; filename="batch_1.jsonl"'),
        ("é.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"),
        ('a"b\\c%.txt', "attachment; filename=\"a_b_c_.txt\"; filename*=UTF-8''a%22b%5Cc%25.txt"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ("\ud800", "attachment; filename=\"_\"; filename*=UTF-8''%3F"),
    ],
)
def test_no_file_name_breaks_its_header(name: str, header: str) -> None:
    assert disposition(name) == header


def failing(error: Callable[[], BaseException]) -> httpx.AsyncClient:
    app = FastAPI(middleware=[Middleware(LastResort)])
    register(app)

    async def fail() -> None:
        raise error()

    app.add_api_route("/", fail)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost")


async def test_a_mistake_of_our_own_is_logged_and_told_without_its_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answered = await failing(lambda: ZeroDivisionError("secret")).get("/")

    assert answered.status_code == 500
    assert answered.json()["code"] == "internal"
    assert "secret" not in answered.text
    assert "ZeroDivisionError: secret" in caplog.text


async def test_a_client_that_went_away_is_nobodys_mistake(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(AssertionError):  # nothing was answered
        await failing(ClientDisconnect).get("/")

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_mistakes_are_listed_and_none_of_them_is_long() -> None:
    errors_ = [{"type": "t", "loc": ("body", "x" * 1000, 5), "msg": "m", "input": "secret"}] * 1000

    def many() -> BaseException:
        found = mistake("m", "body")
        found._errors = errors_
        return found

    answered = (await failing(many).get("/")).json()

    assert answered["code"] == "invalid_request"
    assert len(answered["detail"]) == 50
    assert answered["detail"][0] == {"type": "t", "loc": ["body", "x" * 128, 5], "msg": "m"}
