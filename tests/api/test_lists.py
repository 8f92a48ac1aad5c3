"""Lists of runs: the times that bound them, and the cursors that go on."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import TypeAdapter, ValidationError

from rowel.api.fields import Since, Until
from tests.support.api import Api
from tests.support.workflows import HALVES

SINCE, UNTIL = TypeAdapter(Since), TypeAdapter(Until)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456+00:00", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T12:00:00-02:00", datetime(2026, 1, 31, 14, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00 02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_people_write_it_and_is_utc_where_it_says_no_offset(
    text: str, moment: datetime
) -> None:
    assert SINCE.validate_python(text) == UNTIL.validate_python(text) == moment


def test_a_date_alone_is_the_whole_day() -> None:
    assert SINCE.validate_python("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert UNTIL.validate_python("2026-01-31") == datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026", "2026-1-1", "2026-02-30", "2026-01-31T25:00:00Z", "20260131", "2026-W05-1", "1769860800",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-31T12:00:00Z\n", "２０２６-01-31",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="RFC 3339"):
        SINCE.validate_python(text)


async def run_some(api: Api, count: int) -> tuple[str, list[str]]:
    """A workflow and its runs, newest first."""
    workflow = await api.create(HALVES)
    body: dict[str, Any] = {"initial_inputs": {"input_node": {"n": 1}}}
    ids = [(await api.post(f"/wf/{workflow}/runv2/", body))["id"] for _ in range(count)]
    return workflow, ids[::-1]


async def test_both_ends_of_a_time_are_inside(api: Api) -> None:
    workflow, ids = await run_some(api, 3)
    middle = (await api.get(f"/run/{ids[1]}/"))["start_time"]

    found = await api.get(f"/wf/{workflow}/runs/", start_date=middle, end_date=middle)
    everywhere = await api.get("/run/", since=middle, until=middle)

    assert [run["id"] for run in found] == [run["id"] for run in everywhere] == [ids[1]]


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_the_link_to_what_follows_keeps_path_and_filters(api: Api, prefix: str) -> None:
    workflow, ids = await run_some(api, 3)
    path = f"{prefix}/wf/{workflow}/runs/"
    answer = await api.ask("GET", f"{path}?page_size=2&page=1&status=COMPLETED&status=FAILED&slim=true")

    link = answer.headers["link"]
    assert link.endswith('>; rel="next"')
    following = urlsplit(link[1:].split(">")[0])
    query = parse_qs(following.query)
    cursor = query.pop("cursor")
    assert (following.path, query) == (
        path, {"page_size": ["2"], "status": ["COMPLETED", "FAILED"], "slim": ["true"]},
    )  # fmt: skip
    last = await api.ask("GET", path, params={**query, "cursor": cursor})
    assert [run["id"] for run in last.json()] == ids[2:]
    assert "link" not in last.headers


async def test_a_cursor_holds_its_place_while_runs_begin(api: Api) -> None:
    workflow, ids = await run_some(api, 3)
    first = await api.ask("GET", f"/wf/{workflow}/runs/?page_size=2")
    await api.post(f"/wf/{workflow}/runv2/", {"initial_inputs": {"input_node": {"n": 1}}})

    last = await api.ask("GET", first.headers["link"][1:].split(">")[0])

    assert [run["id"] for run in last.json()] == ids[2:]


async def test_a_full_last_page_leads_nowhere(api: Api) -> None:
    workflow, _ = await run_some(api, 2)

    assert "link" not in (await api.ask("GET", f"/wf/{workflow}/runs/?page_size=2")).headers


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "é", "%00", "a" * 60_000, encoded(""), encoded("now x"), encoded("2026-01-01T00:00:00 x"),
        encoded("2026-01-01T00:00:00+00:00 "), encoded("2026-01-01T00:00:00+00:00 a\x00b"), encoded("é"),
    ],
)  # fmt: skip
async def test_what_is_no_cursor_is_refused(api: Api, cursor: str) -> None:
    answer = await api.get(f"/run/?cursor={cursor}", status=422)

    assert answer["detail"][0]["loc"] == ["query", "cursor"]


@pytest.mark.parametrize("query", ["page=2", "page=2&page_size=5"])
async def test_a_cursor_and_a_page_exclude_each_other(api: Api, query: str) -> None:
    workflow, _ = await run_some(api, 2)
    first = await api.ask("GET", f"/wf/{workflow}/runs/?page_size=1")
    following = first.headers["link"][1:].split(">")[0].replace("page_size=1&", "")

    await api.get(f"{following}&{query}", status=422)
    await api.get(f"/run/?{urlsplit(following).query}&{query}", status=422)


async def test_all_runs_are_paged_as_older_clients_do(api: Api) -> None:
    _, ids = await run_some(api, 3)

    assert [run["id"] for run in await api.get("/run/?page=2&page_size=2&run_type=interactive")] == ids[2:]


async def test_runs_of_one_workflow_are_found_among_all(api: Api) -> None:
    workflow, ids = await run_some(api, 1)
    await run_some(api, 1)

    assert [run["id"] for run in await api.get("/run/", workflow_id=workflow)] == ids
    await api.get("/run/?workflow_id=none", status=404)
    await api.get("/run/?parent_run_id=none", status=404)
    await api.get("/run/?parent_run_id=%00", status=404)


async def test_slim_leaves_out_what_may_be_large(api: Api) -> None:
    workflow, _ = await run_some(api, 1)

    (run,) = await api.get(f"/wf/{workflow}/runs/?slim=true")

    assert (run["initial_inputs"], run["outputs"], run["workflow_version"]["definition"]) == (
        None,
        None,
        None,
    )
    for task in run["tasks"]:
        assert task["status"] == "COMPLETED"
        large = ("inputs", "outputs", "logs", "subworkflow", "subworkflow_output")
        assert [task[name] for name in large] == [None] * 5
