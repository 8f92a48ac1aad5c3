"""Reads server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import repeat

from rowel.client.errors import UnexpectedAnswer
from rowel.client.models import Event


class EventReader:
    """Takes a stream's lines one by one and gives an event where one is whole."""

    def __init__(self, after: int = 0) -> None:
        #: The number of the newest event.
        self.newest = after
        self._fields: dict[str, str] = {}

    def read(self, line: str) -> Event | None:
        """Take one line, without its end. An event that was seen before is not given again."""
        if line:
            name, _, value = line.partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        return self._event(fields) if "data" in fields else None

    def _event(self, fields: dict[str, str]) -> Event | None:
        try:
            event = Event(int(fields["id"]), fields.get("event", "run"), json.loads(fields["data"]))
        except (KeyError, ValueError) as error:
            raise UnexpectedAnswer(f"the event stream holds what is no event: {fields}") from error
        if event.number <= self.newest:
            return None
        self.newest = event.number
        return event


def pauses() -> Iterator[float]:
    """Seconds to wait before each new try to reach a server that went away; about a minute in all."""
    yield from (0.1, 0.3, 1.0, 2.0, 3.0)
    yield from repeat(5.0, 11)
