"""Reads server-sent events."""

from __future__ import annotations

import json

from rowel.client.errors import UnexpectedAnswer
from rowel.client.models import Event


class EventReader:
    """Takes a stream's lines one by one and gives an event where one is whole."""

    def __init__(self, after: int = 0) -> None:
        #: The number of the newest event.
        self.newest = after
        #: Whether the run's end was told: no event follows it.
        self.has_ended = False
        self._fields: dict[str, str] = {}

    def begin(self) -> None:
        """A new connection: what the last one left unfinished is sent again."""
        self._fields = {}

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
            status = event.run_status
        except (KeyError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(f"the event stream holds what is no event: {fields}") from error
        if event.number <= self.newest:
            return None
        self.newest = event.number
        self.has_ended = status is not None and status.is_final
        return event
