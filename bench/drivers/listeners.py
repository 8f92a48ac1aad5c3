"""Many listeners to one event stream: `listeners.py PORT PATH NUMBER`, each on a connection of its own."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import Any

import lines

ID = re.compile(rb"(?:^|\n)id: ?(\d+)")
#: Seconds without news after which all events that there are have come.
STILL_S = 0.3


class Listener(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.last = 0
        self.heard_at = 0.0
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]  # it is a stream's

    def data_received(self, data: bytes) -> None:
        found = ID.findall(data)
        if found:
            self.last = int(found[-1])
            self.heard_at = time.monotonic()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False


async def main() -> None:
    port, path, number = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    listeners: list[Listener] = []
    for _ in range(number):
        made = await loop.create_connection(lambda: Listener(request), "127.0.0.1", port)
        listeners.append(made[1])

    async def settled(beyond: int) -> dict[str, Any]:
        """Wait until all have heard the same event, one after `beyond`, and nothing more comes."""
        while True:
            newest = {listener.last for listener in listeners}
            heard_at = max(listener.heard_at for listener in listeners)
            if len(newest) == 1 and min(newest) > beyond and time.monotonic() - heard_at > STILL_S:
                break
            await asyncio.sleep(0.05)
        open_ones = sum(listener.is_open for listener in listeners)
        return {"last": newest.pop(), "heard_at": heard_at, "open": open_ones}

    await lines.answer({"settled": settled})


if __name__ == "__main__":
    lines.run(main())
