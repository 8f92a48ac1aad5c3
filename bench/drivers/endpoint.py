"""The ceiling: FastAPI as Rowel uses it, with an endpoint that does nothing: `endpoint.py PORT`."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class StartRunRequest(BaseModel):
    initial_inputs: dict[str, dict[str, Any]] | None = None


app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {}


@app.post("/wf/{workflow_id}/run/")
async def run(workflow_id: str, body: StartRunRequest) -> dict[str, Any]:  # noqa: ARG001
    return {}


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
