"""What every driver shares. It runs in the peers' environments too: nothing but the standard library and uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sqlite3
import sys
import threading
import time

_connections: list = []


def watch_sqlite() -> None:
    """Remember every SQLite connection of this process from now on."""

    def hear(event, arguments):
        if event == "sqlite3.connect/handle":
            _connections.append(arguments[0])

    sys.addaudithook(hear)


def sqlite_settings() -> dict:
    """What the open SQLite connections say of how they write: {"synchronous": [2], "journal_mode": ["wal"]}."""
    found: dict = {"synchronous": set(), "journal_mode": set()}
    for connection in _connections:
        for pragma, values in found.items():
            # It may be closed, or another thread's own.
            with contextlib.suppress(sqlite3.ProgrammingError):
                values.add(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
    return {pragma: sorted(values) for pragma, values in found.items()}


def run(main) -> None:
    """Run a driver's coroutine, each on the same event loop."""
    import uvloop

    uvloop.run(main)


async def run_for(one, seconds: float, in_flight: int) -> dict:
    """Do `one(number)` again and again, so many at a time, and count those that say they were right."""
    numbers = itertools.count()
    counts = {True: 0, False: 0}
    begin = time.perf_counter()
    end = begin + seconds

    async def worker() -> None:
        while time.perf_counter() < end:
            counts[bool(await one(next(numbers)))] += 1

    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return {"done": counts[True], "wrong": counts[False], "seconds": time.perf_counter() - begin}


async def answer(handlers) -> None:
    """Do what each line on standard input asks, and answer with a line of JSON, until there is none."""
    # What libraries print must not come between the answers.
    voice = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked: asyncio.Queue = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(asked.put_nowait, line)
        loop.call_soon_threadsafe(asked.put_nowait, None)

    threading.Thread(target=listen, daemon=True).start()
    while (line := await asked.get()) is not None:
        question = json.loads(line)
        try:
            said = await handlers[question.pop("do")](**question)
        except Exception as error:  # noqa: BLE001  # Whatever goes wrong is the harness's to report.
            said = {"error": f"{type(error).__name__}: {error}"[:500]}
        voice.write(json.dumps(said) + "\n")
        voice.flush()
