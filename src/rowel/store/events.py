"""Reads events."""

from __future__ import annotations

from sqlalchemy import Connection, select

from rowel.core.records import Event
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
    found = [
        event for last, body in connection.execute(query) for event in unpack(last, rows.from_text(body))
    ]
    return [event for event in found if event.number > number]


def latest(connection: Connection, run_id: str, groups: int) -> list[Event]:
    """What the last `groups` groups told of the run, the newest event first."""
    query = (
        select(events.c.seq, events.c.body)
        .where(events.c.run_id == run_id)
        .order_by(events.c.seq.desc())
        .limit(groups)
    )
    return [
        event
        for last, body in connection.execute(query)
        for event in reversed(unpack(last, rows.from_text(body)))
    ]


def newest(connection: Connection, run_id: str) -> list[Event]:
    """What was told last of the run, as one group."""
    query = (
        select(events.c.seq, events.c.body)
        .where(events.c.run_id == run_id)
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return [] if found is None else unpack(found[0], rows.from_text(found[1]))


def unpack(last: int, bodies: list[dict[str, object]]) -> list[Event]:
    """Number the events of one group, of which the last is `last`."""
    first = last - len(bodies) + 1
    return [
        Event(first + place, str(body["kind"]), {key: value for key, value in body.items() if key != "kind"})
        for place, body in enumerate(bodies)
    ]
