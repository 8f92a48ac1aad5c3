"""All spellings of a path lead to one route."""

from __future__ import annotations

import pytest

from rowel.api.paths import canonical


@pytest.mark.parametrize(
    ("spelling", "route"),
    [
        ("/wf", "/wf/"),
        ("/wf/", "/wf/"),
        ("/api/wf", "/wf/"),
        ("/api/wf/x/run", "/wf/x/run/"),
        ("/api/wf/x/run/", "/wf/x/run/"),
        ("/run/x/events", "/run/x/events/"),
        ("/events", "/events/"),
        ("/api/node/supported_types", "/node/supported_types/"),
        ("/files", "/files/"),
        ("/api/files/", "/files/"),
        ("/files/uploads/x/a.txt/", "/files/uploads/x/a.txt"),
        ("/health/live/", "/health/live"),
        ("/api/health/ready", "/health/ready"),
        ("/docs/", "/docs"),
        ("/openapi.json", "/openapi.json"),
        ("/", "/"),
    ],
)
def test_prefix_and_last_slash_make_no_difference(spelling: str, route: str) -> None:
    assert canonical(spelling) == route


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/docs",
        "/api/openapi.json",
        "/api/app/x",
        "/apiwf",
        "/api/api/wf",
        "/wfx",
        "/wf//",
        "//wf/",
        "wf",
    ],
)
def test_what_names_nothing_stays_unknown(path: str) -> None:
    assert canonical(path).rstrip("/") == path.rstrip("/")


def test_a_line_break_at_the_end_is_part_of_the_path() -> None:
    assert canonical("/health/live\n") == "/health/live\n/"
