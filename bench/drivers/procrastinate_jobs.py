"""Procrastinate alone: `procrastinate_jobs.py URL` defers jobs that do nothing and waits for each to be done."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import lines
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=sys.argv[1]))
_done: dict[int, asyncio.Event] = {}


@app.task(name="nothing")
async def nothing(number: int) -> None:
    _done.pop(number).set()


async def main() -> None:
    numbers = iter(range(sys.maxsize))

    async def runs(seconds: float, in_flight: int) -> dict[str, Any]:
        async def one(_: int) -> bool:
            number = next(numbers)
            done = _done[number] = asyncio.Event()
            await nothing.defer_async(number=number)
            await done.wait()
            return True

        said = await lines.run_for(one, seconds, in_flight)
        # A job counts once the queue says that it succeeded, a moment after its function has ended.
        await asyncio.sleep(0.2)
        return said

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=32,
                fetch_job_polling_interval=0.25,
                install_signal_handlers=False,
                delete_jobs="never",
            )
        )
        await lines.answer({"runs": runs})
        worker.cancel()


if __name__ == "__main__":
    lines.run(main())
