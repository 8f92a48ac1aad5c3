"""Events: packed where they follow a pattern, and read as they were told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowel.store import events, rows
from rowel.store.events import pack

RUN = "01a2-f"
STATUSES = st.sampled_from(["RUNNING", "COMPLETED", "PAUSED"])
PATHS = st.sampled_from(["a", "loop.3.a", "outer.1.inner.20.a"])


def task_event(path: str, status: str, **more: Any) -> dict[str, Any]:
    *around, node_id = path.split(".")
    parent = f"{RUN}.{'.'.join(around[:-1])}" if around else None
    body = {"kind": "task", "task_id": f"{RUN}.{path}", "node_id": node_id, "parent_task_id": parent}
    return {**body, "status": status, **more}


BODIES = st.one_of(
    st.builds(lambda status: {"kind": "run", "run_id": RUN, "status": status}, STATUSES),
    st.builds(lambda status: {"kind": "run", "run_id": "other", "status": status, "message": "m"}, STATUSES),
    st.builds(task_event, PATHS, STATUSES),
    st.builds(lambda path, status: task_event(path, status, attempt=2, error="e"), PATHS, STATUSES),
    st.builds(lambda path, status: {**task_event(path, status), "node_id": "b"}, PATHS, STATUSES),
    st.builds(lambda text: {"kind": "log", "message": text}, st.text(max_size=4)),
)


@given(st.lists(BODIES, min_size=1, max_size=6), st.integers(0, 50))
def test_packed_events_are_read_as_they_were_told(bodies: list[dict[str, Any]], before: int) -> None:
    last = before + len(bodies)

    assert events.read(RUN, last, pack(RUN, bodies)) == events.numbered(last, bodies)


@given(st.lists(BODIES, min_size=1, max_size=6))
def test_events_that_were_kept_unpacked_are_read_too(bodies: list[dict[str, Any]]) -> None:
    text = rows.to_text(bodies) or ""

    assert events.read(RUN, len(bodies), text) == events.numbered(len(bodies), bodies)


@pytest.mark.parametrize(
    ("body", "packed"),
    [
        ({"kind": "run", "run_id": RUN, "status": "RUNNING"}, '["RUNNING"]'),
        (task_event("loop.3.a", "COMPLETED"), '[["loop.3.a","COMPLETED"]]'),
    ],
)
def test_the_usual_ones_are_short(body: dict[str, Any], packed: str) -> None:
    assert pack(RUN, [body]) == packed
