"""Puts the parts of one process in a cluster together."""

from __future__ import annotations

from rowel.engine.cluster.cluster import Cluster
from rowel.engine.cluster.crew import Crew
from rowel.engine.cluster.dispatch import ClusterDispatch
from rowel.engine.cluster.pace import Pace
from rowel.engine.cluster.queue import JobQueue
from rowel.engine.takeovers import Takeovers
from rowel.engine.wakeups import Wakeups
from rowel.store.database import Database
from rowel.store.postgres import Postgres


def build_cluster(  # noqa: PLR0913  # plain values and shared parts
    database: Database,
    dialect: Postgres,
    takeovers: Takeovers,
    wakeups: Wakeups,
    pace: Pace,
    *,
    queue_limit: int,
    grace_s: float,
    crew: tuple[int, int] | None,
    only_works: bool,
) -> tuple[ClusterDispatch, Cluster]:
    """`crew` says how many interactive and batch jobs this process does at a time; None: none."""
    jobs = JobQueue(dialect)
    dispatch = ClusterDispatch(
        takeovers.take,
        takeovers.tell_owner,
        database=database,
        queue=jobs,
        queue_limit=queue_limit,
        grace_s=grace_s,
        # More of them would keep other workflows' runs waiting.
        most_waiting=1 if crew is None else max(1, crew[0] // 2),
    )
    hands = None if crew is None else Crew(jobs, pace, interactive=crew[0], batch=crew[1])
    return dispatch, Cluster(database, dialect, dispatch, jobs, wakeups, pace, hands, only_works=only_works)
