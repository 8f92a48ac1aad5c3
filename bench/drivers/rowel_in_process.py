"""Rowel in a process: `rowel_in_process.py LOCATION [DATA]` runs workflows as it is asked."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import lines

lines.watch_sqlite()

from rowel import Rowel  # noqa: E402


class Work:
    def __init__(self, rowel: Rowel) -> None:
        self._rowel = rowel
        self._workflows: dict[str, str] = {}

    async def save(self, name: str, definition: dict[str, Any]) -> dict[str, Any]:
        self._workflows[name] = (await self._rowel.workflows.create(name, definition)).id
        return {}

    async def runs(
        self, name: str, last: str, field: str, adds: int, seconds: float, in_flight: int
    ) -> dict[str, Any]:
        """Runs for so long. The last node's `field` has to be `n + adds`, or `-adds` alone where it is below 0."""
        workflow = self._workflows[name]

        async def one(number: int) -> bool:
            outputs = await self._rowel.run(workflow, {"input_node": {"n": number}})
            return bool(outputs[last][field] == (-adds if adds < 0 else number + adds))

        return await lines.run_for(one, seconds, in_flight)

    async def latencies(self, names: list[str], times: int, rest_s: float) -> dict[str, Any]:
        """The median seconds of a run of each workflow, one after another in turn, with rests between."""
        taken: dict[str, list[float]] = {name: [] for name in names}
        for number in range(times):
            for name in names:
                begin = time.perf_counter()
                outputs = await self._rowel.run(self._workflows[name], {"input_node": {"n": number}})
                taken[name].append(time.perf_counter() - begin)
                if outputs["output_node"]["n"] != number:
                    raise ValueError(f"{name}: {outputs['output_node']} for {number}")
                await asyncio.sleep(rest_s)
        return {name: statistics.median(seconds) for name, seconds in taken.items()}

    async def cold(self, name: str, without: str, times: int) -> dict[str, Any]:
        """The same where no sandbox process waits: two runs at once take the spare one and one that has to start."""
        taken: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(times):
            taken["with"].append(max(await asyncio.gather(self._timed(name), self._timed(name))))
            taken["without"].append(max(await asyncio.gather(self._timed(without), self._timed(without))))
            await asyncio.sleep(0.3)
        return {kind: statistics.median(seconds) for kind, seconds in taken.items()}

    async def _timed(self, name: str) -> float:
        begin = time.perf_counter()
        await self._rowel.run(self._workflows[name], {"input_node": {"n": 1}})
        return time.perf_counter() - begin

    async def batch(self, name: str, dataset: str, window: int, last: str, adds: int) -> dict[str, Any]:
        begin = time.perf_counter()
        batch = await self._rowel.batch(self._workflows[name], dataset, mini_batch_size=window)
        await batch.wait()
        seconds = time.perf_counter() - begin
        output = await batch.download(Path(dataset).with_suffix(".out"))
        results = [json.loads(line)[last]["n"] for line in output.read_text().splitlines()]
        right = sum(result == number + adds for number, result in enumerate(results))
        return {"done": right, "wrong": len(results) - right, "seconds": seconds}

    async def settings(self) -> dict[str, Any]:
        return lines.sqlite_settings()


async def main() -> None:
    location, *data = sys.argv[1:]
    async with Rowel(location, data=data[0] if data else location) as rowel:
        work = Work(rowel)
        handlers = {
            name: getattr(work, name) for name in ("save", "runs", "latencies", "cold", "batch", "settings")
        }
        await lines.answer(handlers)


if __name__ == "__main__":
    lines.run(main())
