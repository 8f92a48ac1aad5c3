"""Reads events, and packs them: a row of a batch leaves some with each task, and nearly all follow a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from rowel.core.records import Event
from rowel.core.status import EventKind
from rowel.store import rows
from rowel.store.tables import events


def after(connection: Connection, run_id: str, number: int, limit: int = 1000) -> list[Event]:
    """The run's events numbered higher than `number`, in order; at least `limit` where there are as many."""
    query = (
        select(events.c.seq, events.c.body)
        .where(events.c.run_id == run_id, events.c.seq > number)
        .order_by(events.c.seq)
        .limit(limit)
    )
    found = [event for last, body in connection.execute(query) for event in read(run_id, last, body)]
    return [event for event in found if event.number > number]


def latest(connection: Connection, run_id: str, groups: int) -> list[Event]:
    """What the last `groups` groups told of the run, the newest event first."""
    query = (
        select(events.c.seq, events.c.body)
        .where(events.c.run_id == run_id)
        .order_by(events.c.seq.desc())
        .limit(groups)
    )
    return [event for last, body in connection.execute(query) for event in reversed(read(run_id, last, body))]


def newest(connection: Connection, run_id: str) -> list[Event]:
    """What was told last of the run, as one group."""
    query = (
        select(events.c.seq, events.c.body)
        .where(events.c.run_id == run_id)
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return [] if found is None else read(run_id, *found)


def numbered(last: int, bodies: Sequence[dict[str, Any]]) -> list[Event]:
    """Number the events of one group, of which the last is `last`."""
    first = last - len(bodies) + 1
    return [
        Event(first + place, str(body["kind"]), {key: value for key, value in body.items() if key != "kind"})
        for place, body in enumerate(bodies)
    ]


def pack(run_id: str, bodies: Sequence[dict[str, Any]]) -> str:
    """One text of a group's events: a run's status as itself, a task's as [path, status], others as they are."""
    return rows.to_text([_packed(run_id, body) for body in bodies]) or ""


def _packed(run_id: str, body: dict[str, Any]) -> Any:
    match body:
        case {"kind": EventKind.RUN, "status": status} if body == _of_run(run_id, status):
            return status
        case {"kind": EventKind.TASK, "task_id": task_id, "status": status}:
            path = task_id.removeprefix(f"{run_id}.")
            return [path, status] if body == _of_task(run_id, path, status) else body
    return body


def read(run_id: str, last: int, text: str) -> list[Event]:
    """The events of one group, from what `pack` made of them."""
    return numbered(last, [_unpacked(run_id, packed) for packed in rows.from_text(text)])


def _unpacked(run_id: str, packed: Any) -> dict[str, Any]:
    match packed:
        case str() as status:
            return _of_run(run_id, status)
        case [path, status]:
            return _of_task(run_id, path, status)
    body: dict[str, Any] = packed
    return body


def _of_run(run_id: str, status: str) -> dict[str, Any]:
    return {"kind": EventKind.RUN.value, "run_id": run_id, "status": status}


def _of_task(run_id: str, path: str, status: str) -> dict[str, Any]:
    """A task's event, where the path says all of where it is."""
    *around, node_id = path.split(".")
    parent = f"{run_id}.{'.'.join(around[:-1])}" if around else None
    return {
        "kind": EventKind.TASK.value,
        "task_id": f"{run_id}.{path}",
        "node_id": node_id,
        "parent_task_id": parent,
        "status": status,
    }
