"""Ids in paths and bodies: one that names nothing is 404, whatever its form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from rowel.core.errors import NotFound
from rowel.engine.engine import Engine

_ID = re.compile("[A-Za-z0-9_-]{1,128}")

#: What the ids in paths name.
KINDS = {"workflow_id": "workflow", "run_id": "run", "dataset_id": "dataset", "file_id": "output file"}


def known_id(value: str, kind: str) -> str:
    """Return `value` if it has the form of an id. Raises `NotFound`: what hasn't is not looked for."""
    if not _ID.fullmatch(value):
        raise NotFound(f"There is no {kind} {value[:128]!r}.")
    return value


def check_ids(path_params: Mapping[str, Any]) -> None:
    """Refuse ids in a path that have no id's form."""
    for name, kind in KINDS.items():
        if name in path_params:
            known_id(path_params[name], kind)


async def find_ids(request: Request) -> None:
    """Raise `NotFound` where an id in the path names nothing: that is told before what is wrong with the rest."""
    engine: Engine = request.app.state.engine
    find = {
        "workflow_id": engine.get_workflow,
        "run_id": engine.get_run,
        "dataset_id": engine.get_dataset,
        "file_id": engine.get_output_file,
    }
    for name, value in request.path_params.items():
        if name in find:
            await find[name](value)
