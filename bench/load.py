"""A load generator in a process of its own: `load.py` reads what to send as JSON on standard input, and says what came.

Connections are kept alive, requests are bytes made once, and answers are cut by their content-length and looked at
only after the last one. It tells how much of a core it used, so that nobody takes its limit for the server's.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

import uvloop


class Client(asyncio.Protocol):
    """One connection: the next request goes out when the answer is complete."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._heard = bytearray()
        self._begin = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self) -> None:
        request = self._load.next_request()
        if request is None:
            self._transport.close()
            return
        self._begin = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head = self._heard.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _length(bytes(self._heard[:head]).lower())
        if len(self._heard) < head + 4 + length:
            return
        self._load.take(time.perf_counter() - self._begin, bytes(self._heard))
        self._heard.clear()
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lose()


class Load:
    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        body = json.dumps(asked["body"]).encode()
        self._request = (
            f"POST {asked['path']} HTTP/1.1\r\nhost: 127.0.0.1:{asked['port']}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._left = asked.get("count") or sys.maxsize
        self._end = time.perf_counter() + asked["seconds"]
        self._open = asked["clients"]
        self._closed = asyncio.Event()
        self.times: list[float] = []
        self.answers: list[bytes] = []

    def next_request(self) -> bytes | None:
        if self._left <= 0 or time.perf_counter() > self._end:
            return None
        self._left -= 1
        return self._request

    def take(self, seconds: float, answer: bytes) -> None:
        self.times.append(seconds)
        self.answers.append(answer)

    def lose(self) -> None:
        self._open -= 1
        if not self._open:
            self._closed.set()

    async def run(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_connection(lambda: Client(self), "127.0.0.1", self._asked["port"]))[1]
            for _ in range(self._asked["clients"])
        ]
        begin, used = time.perf_counter(), time.process_time()
        for client in made:
            client.send()
        await self._closed.wait()
        seconds, used = time.perf_counter() - begin, time.process_time() - used
        return self._say(seconds, used)

    def _say(self, seconds: float, used: float) -> dict[str, Any]:
        bodies: dict[str, int] = {}
        statuses: dict[str, int] = {}
        ids: list[str] = []
        for answer in self.answers:
            head, _, body = answer.partition(b"\r\n\r\n")
            status = head[9:12].decode()
            statuses[status] = statuses.get(status, 0) + 1
            if self._asked.get("wants") == "ids":
                ids.append(json.loads(body)["id"] if status == "200" else "")
            else:
                bodies[body.decode()] = bodies.get(body.decode(), 0) + 1
        times = sorted(self.times) or [0.0]
        return {
            "seconds": seconds,
            "statuses": statuses,
            "bodies": dict(sorted(bodies.items(), key=lambda item: -item[1])[:3]),
            "kinds": len(bodies),
            "ids": ids,
            "core": used / seconds,
            "p50_ms": statistics.median(times) * 1000,
            "p99_ms": times[int(len(times) * 0.99)] * 1000,
        }


def _length(head: bytes) -> int:
    _, _, after = head.partition(b"content-length:")
    return int(after.split(b"\r\n", 1)[0])


async def main() -> None:
    asked = json.loads(sys.stdin.read())
    sys.stdout.write(json.dumps(await Load(asked).run()))


if __name__ == "__main__":
    uvloop.run(main())
