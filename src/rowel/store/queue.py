"""Reads the queue beside the tables that it works for. On Postgres only; Procrastinate alone writes it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from rowel.core.records import Run
from rowel.store import runs
from rowel.store.news import Job

#: How many of each kind one look finds.
MOST_FOUND = 1000

_NO_JOB = """
    NOT EXISTS (SELECT 1 FROM procrastinate_jobs j WHERE j.lock = {name} AND j.status = 'doing')
    AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j WHERE j.queueing_lock = {name} AND j.status = 'todo')
"""

# Whoever is part of another run is moved with it; a batch is left to its lanes, and a row to the lane that holds it.
_RUNS = text(
    f"""
    SELECT r.id, r.output_file_id IS NOT NULL AS is_batch FROM runs r
    WHERE r.has_work = 1 AND r.owner_id IS NULL AND {_NO_JOB.format(name="r.id")}
    AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.run_id = r.id)
    ORDER BY r.start_time LIMIT :most
    """
)
_ROWS = text(
    f"""
    SELECT r.id FROM runs r
    WHERE r.has_work = 1 AND r.row_index IS NOT NULL AND {_NO_JOB.format(name="r.id")}
    AND NOT EXISTS (
        SELECT 1 FROM lanes l WHERE l.run_id = r.owner_id AND r.row_index >= l.start AND r.row_index < l.stop
    )
    ORDER BY r.start_time LIMIT :most
    """
)
_LANES = text(
    f"""
    SELECT l.run_id, l.lane FROM lanes l
    WHERE {_NO_JOB.format(name="l.run_id || ':' || l.lane")} LIMIT :most
    """
)


def forgotten(connection: Connection, interactive: str, batch: str) -> list[Job]:
    """The jobs that are missing: for every run, row and lane that has work and that no job is about."""
    tops = connection.execute(_RUNS, {"most": MOST_FOUND}).all()
    rows = connection.execute(_ROWS, {"most": MOST_FOUND}).all()
    lanes = connection.execute(_LANES, {"most": MOST_FOUND}).all()
    return [
        *(Job(batch if is_batch else interactive, run_id) for run_id, is_batch in tops),
        *(Job(batch, run_id) for (run_id,) in rows),
        *(Job(batch, run_id, lane) for run_id, lane in lanes),
    ]


def backlog(connection: Connection, most: int) -> int:
    """How many runs wait for a worker, counted up to `most`."""
    query = text(
        "SELECT count(*) FROM (SELECT 1 FROM procrastinate_jobs WHERE status = 'todo' LIMIT :most) waiting"
    )
    return int(connection.execute(query, {"most": most}).scalar_one())


def count_workers(connection: Connection, patience_s: float) -> int:
    """How many workers gave a sign of life within the last `patience_s` seconds."""
    query = text(
        "SELECT count(*) FROM procrastinate_workers"
        " WHERE last_heartbeat > now() - make_interval(secs => :patience_s)"
    )
    return int(connection.execute(query, {"patience_s": patience_s}).scalar_one())


def has_job(connection: Connection, name: str) -> bool:
    """Whether a job of this name waits or is being done."""
    query = text(f"SELECT NOT ({_NO_JOB.format(name=':name')})")
    return bool(connection.execute(query, {"name": name}).scalar_one())


def root_of(connection: Connection, run_id: str) -> Run | None:
    """The run that a worker moves when it moves this one. None where it has ended."""
    run = runs.get(connection, run_id)
    while run is not None and run.owner_id is not None and run.row_index is None:
        run = runs.get(connection, run.owner_id)
    return None if run is None or run.status.is_final else run
