"""PySpur's server: `pyspur_server.py PORT`.

Its own command `pyspur serve` ends with a TypeError under the versions of typer and click that its package asks for;
this does what that command does.
"""

from __future__ import annotations

import sys

import uvicorn
from pyspur.cli.utils import run_migrations
from pyspur.database import engine
from sqlalchemy import text

if __name__ == "__main__":
    run_migrations()
    with engine.connect() as connection:
        found = connection.execute(text("PRAGMA synchronous")).scalar()
    if found < 2:
        raise SystemExit(f"PySpur's connections say synchronous={found}, not FULL")
    uvicorn.run("pyspur.api.main:app", host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
