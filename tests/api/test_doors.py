"""Who may knock: names of this machine, and pages that this server served."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from rowel.api.doors import LOOPBACK, Doors


def client(hosts: frozenset[str] | None) -> httpx.AsyncClient:
    app = FastAPI()

    async def welcome() -> None:
        return

    app.add_api_route("/", welcome, methods=["GET", "POST"])
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Doors(app, hosts)), base_url="http://localhost"
    )


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost:1", "127.0.0.1:6080", "[::1]", "[::1]:6080"],
)
async def test_names_of_this_machine_are_answered(host: str) -> None:
    assert (await client(LOOPBACK).get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "", "example.com", "localhost.example.com", "evil-localhost", "127.0.0.1.example.com", "localhost:x",
        "localhost:6080:1", "user@localhost", "localhost/", "::1", "0.0.0.0", "127.0.0.2", "localhost\\", "[::1",
    ],
)  # fmt: skip
async def test_all_other_names_are_403_for_reads_too(host: str) -> None:
    answer = await client(LOOPBACK).get("/", headers={"host": host})

    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden"
    assert "ROWEL_ALLOWED_HOSTS" in answer.json()["detail"]


async def test_two_names_are_none() -> None:
    headers = [("host", "localhost"), ("host", "localhost")]

    assert (await client(LOOPBACK).get("/", headers=headers)).status_code == 403


async def test_names_that_the_operator_adds_are_answered() -> None:
    hosts = LOOPBACK | {"Rowel.example"}

    assert (await client(hosts).get("/", headers={"host": "rowel.EXAMPLE:80"})).status_code == 200


async def test_a_server_that_answers_to_any_name_refuses_foreign_writes_nevertheless() -> None:
    headers = {"host": "anything.example"}

    assert (await client(None).get("/", headers=headers)).status_code == 200
    assert (
        await client(None).post("/", headers={**headers, "origin": "http://other.example"})
    ).status_code == 403


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:6080", "localhost:6080"),
        ("https://rowel.example", "rowel.example"),
        ("https://rowel.example", "rowel.example:443"),
        ("http://LOCALHOST:80", "localhost"),
        ("http://[::1]:6080", "[::1]:6080"),
    ],
)
async def test_writes_from_ones_own_page_are_taken(origin: str, host: str) -> None:
    headers = {"host": host, "origin": origin}

    assert (await client(None).post("/", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://example.com", "null", "", "file://", "http://localhost:5173", "http://localhost.example.com:6080",
        "http://localhost:6080.example.com", "http://[::zz", "ftp://localhost:6080", "localhost:6080",
        "http://localhost:6080/path", "http://x@localhost:6080",
    ],
)  # fmt: skip
async def test_writes_from_any_other_page_are_403(origin: str) -> None:
    headers = {"host": "localhost:6080", "origin": origin}
    answer = await client(LOOPBACK).post("/", headers=headers)

    assert answer.status_code == 403
    assert "foreign" in answer.json()["detail"]
    assert (await client(LOOPBACK).get("/", headers=headers)).status_code == 200


async def test_one_foreign_origin_among_several_is_enough() -> None:
    headers = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://example.com")]

    assert (await client(LOOPBACK).post("/", headers=headers)).status_code == 403


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200), ("none", 200)])
async def test_a_browser_that_says_where_a_write_comes_from_is_believed(site: str, status: int) -> None:
    assert (await client(LOOPBACK).post("/", headers={"sec-fetch-site": site})).status_code == status


async def test_every_answer_says_that_it_is_what_it_says() -> None:
    for headers in ({}, {"host": "example.com"}):
        answer = await client(LOOPBACK).get("/", headers=headers)

        assert answer.headers["x-content-type-options"] == "nosniff"
