"""DBOS: `dbos_chain.py URL` runs workflows of steps as it is asked, directly or from a queue."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import lines

lines.watch_sqlite()

from dbos import DBOS  # noqa: E402

QUEUE = "bench"
LOOK_EACH_S = 0.05


@DBOS.step()
async def step(n: int) -> int:
    return n + 1


@DBOS.workflow()
async def chain(n: int, length: int) -> int:
    for _ in range(length):
        n = await step(n)
    return n


async def runs(seconds: float, in_flight: int, length: int = 5) -> dict[str, Any]:
    async def one(number: int) -> bool:
        return bool(await chain(number, length) == number + length)

    return await lines.run_for(one, seconds, in_flight)


async def batch(rows: int, length: int) -> dict[str, Any]:
    """Every row through the queue, and all results read."""
    begin = time.perf_counter()
    places = asyncio.Semaphore(16)

    async def put(number: int) -> Any:
        async with places:
            return await DBOS.enqueue_workflow_async(QUEUE, chain, number, length)

    handles = await asyncio.gather(*map(put, range(rows)))
    # It looks each second unless it is told to look more often.
    results = [await handle.get_result(polling_interval_sec=LOOK_EACH_S) for handle in handles]
    right = sum(result == number + length for number, result in enumerate(results))
    return {"done": right, "wrong": rows - right, "seconds": time.perf_counter() - begin}


async def settings() -> dict[str, Any]:
    return lines.sqlite_settings()


async def main() -> None:
    url, *window = sys.argv[1:]
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    if window:
        await DBOS.register_queue_async(
            QUEUE, worker_concurrency=int(window[0]), polling_interval_sec=LOOK_EACH_S
        )
    await lines.answer({"runs": runs, "batch": batch, "settings": settings})


if __name__ == "__main__":
    lines.run(main())
    DBOS.destroy()
