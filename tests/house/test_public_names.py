"""What `import rowel` offers, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rowel
from tests.support.source import ROOT

HEAVY = [
    "alembic",
    "fastapi",
    "httpx",
    "jinja2",
    "polars",
    "psycopg",
    "pydantic",
    "pydantic_ai",
    "sqlalchemy",
]


def _loaded_after(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after `statement`."""
    program = f"import sys; {statement}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_public_names_are_these():
    assert rowel.__all__ == [
        "AsyncClient",
        "Client",
        "Config",
        "Context",
        "Done",
        "Node",
        "Pause",
        "Rowel",
        "RunFailed",
        "RunPaused",
    ]


@pytest.mark.parametrize("name", rowel.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(rowel, name).__doc__
    assert name in dir(rowel)


def test_an_unknown_name_is_an_attribute_error_like_any_other():
    with pytest.raises(AttributeError, match="has no attribute 'Workflow'"):
        _ = rowel.Workflow


def test_importing_rowel_loads_nothing_heavy():
    assert _loaded_after("import rowel") & set(HEAVY) == set()


def test_the_client_loads_no_engine():
    loaded = _loaded_after("from rowel import AsyncClient, Client")

    assert loaded & {"fastapi", "polars", "pydantic_ai", "sqlalchemy"} == set()
    assert {
        name for name in loaded if name.startswith(("rowel.core", "rowel.engine", "rowel.store"))
    } == set()


def test_a_node_type_of_ones_own_loads_no_server():
    loaded = _loaded_after("from rowel import Config, Context, Done, Node, Pause")

    assert loaded & {"fastapi", "polars", "pydantic_ai", "sqlalchemy"} == set()
