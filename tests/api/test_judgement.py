"""In which order a request is judged, and what a route takes beside a lawful body."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.workflows import ASKS, HALVES

JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}
#: Each route with an id in its path that wants a body.
WITH_BODY = [
    ("POST", "/wf/{id}/run/"),
    ("POST", "/wf/{id}/runv2/"),
    ("POST", "/wf/{id}/start_run/"),
    ("POST", "/wf/{id}/run_partial/"),
    ("POST", "/wf/{id}/start_batch_run/"),
    ("POST", "/wf/process_pause_action/{id}/"),
    ("PUT", "/wf/{id}/"),
]


async def paused_run(api: Api) -> str:
    workflow = await api.create(ASKS)
    body = {"initial_inputs": {"input_node": {"amount": 1}}}
    return str((await api.post(f"/wf/{workflow}/run/", body, status=202))["run"]["id"])


@pytest.mark.parametrize("unknown", ["none", "01a211dc-1106-7217-a9c1-00b132b74705", "a b", "x" * 129])
@pytest.mark.parametrize("content", [b"{}", b"", b"{", b"[]", b'{"node_id": 5}'])
async def test_an_id_that_names_nothing_is_told_before_what_is_wrong_with_the_body(
    api: Api, content: bytes, unknown: str
) -> None:
    for method, path in WITH_BODY:
        answer = await api.ask(method, path.replace("{id}", unknown), content=content, headers=JSON)

        assert answer.status_code == 404, path
        assert repr(unknown[:128]) in answer.json()["detail"]


@pytest.mark.parametrize("query", ["page=0", "page=1&page=2", "status=NO", "cursor=x", "end_date=never"])
async def test_an_id_that_names_nothing_is_told_before_what_is_wrong_with_the_query(
    api: Api, query: str
) -> None:
    await api.get(f"/wf/none/runs/?{query}", status=404)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_the_content_type_is_judged_before_the_id_is_looked_for(
    api: Api, method: str, path: str
) -> None:
    answer = await api.ask(method, path.replace("{id}", "none"), content=b"{}", headers=TEXT)

    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 200),
        ({"content-type": "APPLICATION/JSON;charset=UTF-8"}, 200),
        ({"content-type": "application/vnd.rowel+json"}, 200),
        ({}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "text/json"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "content-encoding": "identity"}, 200),
    ],
)
async def test_a_body_is_json_in_utf_8_as_it_is(api: Api, headers: dict[str, str], status: int) -> None:
    content = json.dumps({"name": "x", "definition": HALVES}).encode()
    content = gzip.compress(content) if headers.get("content-encoding") == "gzip" else content

    answer = await api.ask("POST", "/wf/", content=content, headers=headers)

    assert answer.status_code == status
    if status == 415:
        assert answer.json()["code"] == "unsupported_media_type"
        assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
async def test_a_route_that_wants_a_body_says_so(api: Api, method: str, path: str) -> None:
    known = await paused_run(api) if "process_pause" in path else await api.create(HALVES)

    answer = await api.ask(method, path.replace("{id}", known))

    assert answer.status_code == 422
    assert answer.json()["detail"] == [{"type": "missing", "loc": ["body"], "msg": "Field required"}]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 200),
        (b"", TEXT, 200),
        (b"", JSON, 200),
        (b"{}", JSON, 200),
        (b'{"any": "thing"}', JSON, 200),
        (b"null", JSON, 200),
        (b"{}", {}, 415),
        (b"{}", TEXT, 415),
        (b"{", JSON, 422),
        (b"[1]", JSON, 422),
    ],
)
@pytest.mark.parametrize("path", ["/wf/cancel_workflow/{id}/", "/wf/{id}/duplicate/"])
async def test_a_route_that_needs_no_body_takes_none_or_an_object(
    api: Api, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    known = await paused_run(api) if "cancel" in path else await api.create(HALVES)

    answer = await api.ask("POST", path.replace("{id}", known), content=content, headers=headers)

    assert answer.status_code == status


async def test_a_body_that_is_refused_cancels_nothing(api: Api) -> None:
    run_id = await paused_run(api)
    await api.ask("POST", f"/wf/cancel_workflow/{run_id}/", content=b"{", headers=JSON)

    assert (await api.get(f"/run/{run_id}/"))["status"] == "PAUSED"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"name": "x",}', "line 1, column 14"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b"[" * 100_000, "deeper than 64 levels at line 1, column 65"),
        (b'{"a": ' + b"9" * 4301 + b"}", "an integer of 4,301 digits"),
        (b'{"a": "\xff"}', "not valid UTF-8: invalid start byte at byte 7"),
        (b"\x00", "not valid JSON"),
    ],
)
async def test_what_is_no_json_is_told_with_its_place(api: Api, content: bytes, sentence: str) -> None:
    answer = (await api.ask("POST", "/wf/", content=content, headers=JSON)).json()

    assert answer["code"] == "invalid_request"
    (found,) = answer["detail"]
    assert (found["type"], found["loc"]) == ("json_invalid", ["body"])
    assert sentence in found["msg"]


async def test_a_byte_order_mark_is_passed_over(api: Api) -> None:
    content = b"\xef\xbb\xbf" + json.dumps({"name": "x", "definition": HALVES}).encode()

    assert (await api.ask("POST", "/wf/", content=content, headers=JSON)).status_code == 200


async def test_unknown_fields_are_ignored(api: Api) -> None:
    await api.post("/wf/", {"name": "x", "definition": HALVES, "colour": "red"})


async def test_a_definition_past_its_own_limit_is_413(api: Api) -> None:
    large = {**HALVES, "note": "é" * 70_000}
    answer = await api.post("/wf/", {"name": "x", "definition": large}, status=413)

    assert answer["code"] == "too_large"
    assert "131,072" in answer["detail"]
    spaced = json.dumps({"name": "x", "definition": HALVES}) + " " * 150_000
    assert (await api.ask("POST", "/wf/", content=spaced, headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/wf/", "GET, POST"),
        ("POST", "/wf/x/", "DELETE, GET, PUT"),
        ("GET", "/wf/x/run/", "POST"),
        ("DELETE", "/wf/paused_workflows/", "GET"),
        ("PUT", "/wf/paused_workflows/", "GET"),
        ("GET", "/wf/cancel_workflow/runs/", "POST"),
        ("POST", "/wf/pause_history/run/", "GET"),
        ("HEAD", "/wf/", "GET, POST"),
        ("OPTIONS", "/wf/", "GET, POST"),
        ("TRACE", "/run/x/events/", "GET"),
        ("GET", "/files/", "POST"),
        ("DELETE", "/files/", "POST"),
        ("PATCH", "/files/uploads/x", "DELETE, GET"),
        ("POST", "/health/live", "GET"),
    ],
)
async def test_a_wrong_method_is_told_all_the_right_ones(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = await api.ask(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/wf/cancel_workflow/", "/wf/pause_history/", "/wf/process_pause_action/"])
async def test_a_word_of_a_path_is_no_id(api: Api, path: str) -> None:
    answer = await api.get(path, status=404)

    assert answer["detail"] == f"There is nothing at {path!r}."


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("page=", "page"), ("page=x", "page"), ("page=1.5", "page"), ("page=0", "page"), ("page=-1", "page"),
        ("page=1000001", "page"), ("page=" + "9" * 5000, "page"), ("page=%00", "page"), ("page=NaN", "page"),
        ("page_size=0", "page_size"), ("page_size=101", "page_size"), ("page=1&page=1", "page"),
    ],
)  # fmt: skip
async def test_a_page_that_is_none_is_told_with_its_place(api: Api, query: str, place: str) -> None:
    for path in ("/wf/", "/wf/paused_workflows/", "/run/", "/ds/", "/of/"):
        answer = await api.get(f"{path}?{query}", status=422)

        assert answer["detail"][0]["loc"] == ["query", place]
        assert answer["detail"][0]["msg"]


async def test_parameters_that_no_route_knows_are_ignored(api: Api) -> None:
    await api.get("/wf/?parent_only=true&x=1&x=2")


async def test_a_list_takes_a_parameter_several_times(api: Api) -> None:
    await api.get("/run/?status=FAILED&status=PAUSED")


def _wrong() -> list[tuple[str, Any]]:
    values: list[Any] = [None, True, 0, -1, 1.5, 2**63, 10**400, "", "x", "\x00", [], ["x"], {}, {"x": {}}]
    return [(name, value) for name in ("node_id", "initial_inputs", "partial_outputs") for value in values]


@pytest.mark.parametrize(("name", "value"), _wrong())
async def test_no_value_in_a_field_is_more_than_a_refusal(api: Api, name: str, value: Any) -> None:
    workflow = await api.create(HALVES)
    body = {"node_id": "input_node", "initial_inputs": {"input_node": {}}, name: value}

    answer = await api.ask("POST", f"/wf/{workflow}/run_partial/", content=json.dumps(body), headers=JSON)

    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
    assert await api.get(f"/wf/{workflow}/runs/?run_type=partial") == []
