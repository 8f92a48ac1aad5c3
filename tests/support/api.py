"""Asks an API and checks that it answers as it must always do."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

FINAL = {"COMPLETED", "FAILED", "CANCELED"}


class Api:
    """Requests in short words; every answer is looked at."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Send a request; whatever it is, the answer is JSON (or nothing, or a download) and no 5xx."""
        answer = await self.http.request(method, path, **what)
        assert answer.status_code < 500, answer.text
        assert "Traceback" not in answer.text
        return answer

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.ask("GET", path, params=query or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
        answer = await self.ask("POST", path, json={} if body is None else body, params=query or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def create(self, definition: Any, name: str = "test") -> str:
        """Keep a workflow and return its id."""
        return str((await self.post("/wf/", {"name": name, "definition": definition}))["id"])

    async def upload(self, filename: str, content: bytes, status: int = 200) -> Any:
        files = {"file": (filename, content)}
        answer = await self.ask("POST", "/ds/", params={"name": filename or "x"}, files=files)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def wait_for(self, run_id: str, *statuses: str) -> Any:
        """Look at the run until it has one of the statuses (none named: until it has ended)."""
        wanted = set(statuses) or FINAL
        async with asyncio.timeout(30):
            while (run := await self.get(f"/run/{run_id}/"))["status"] not in wanted:  # noqa: ASYNC110  # a client can only look
                await asyncio.sleep(0.01)
        return run

    async def count_runs(self, workflow_id: str) -> int:
        return len(await self.get(f"/wf/{workflow_id}/runs/", page_size=100))
