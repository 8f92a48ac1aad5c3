"""Builds an engine from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from rowel.core.errors import Invalid
from rowel.core.faults import Fault
from rowel.core.limits import Limits
from rowel.engine.batch import BatchMover
from rowel.engine.batches import Batches
from rowel.engine.cancels import Cancels
from rowel.engine.clock import Clock, SystemClock
from rowel.engine.cluster.pace import Pace
from rowel.engine.decisions import Decisions
from rowel.engine.dispatch import LocalDispatch
from rowel.engine.engine import Engine
from rowel.engine.faults import Faults
from rowel.engine.house import House
from rowel.engine.lock import DataDirectoryLock
from rowel.engine.observer import Observer
from rowel.engine.once import Receipts
from rowel.engine.places import Places
from rowel.engine.programs import Programs
from rowel.engine.reruns import Reruns
from rowel.engine.shelves import Shelves
from rowel.engine.starts import Starts
from rowel.engine.stepcache import MAX_SIZE, StepCache
from rowel.engine.takeovers import Takeovers
from rowel.engine.timers import Timers
from rowel.engine.upkeep import Upkeep
from rowel.engine.wakeups import Wakeups
from rowel.engine.workflows import Workflows
from rowel.files.faults import FaultyFile
from rowel.files.store import FileStore
from rowel.files.uploads import MAX_UPLOAD, StoredBlobs
from rowel.nodes.clients.allowances import Allowances
from rowel.nodes.clients.http import HTTPClient
from rowel.nodes.clients.llm import ModelClient
from rowel.nodes.clients.sandbox import PooledSandbox
from rowel.nodes.clients.turns import Turns, loop_time
from rowel.nodes.context import Services
from rowel.nodes.registry import Registry, load_registry
from rowel.store.database import Database
from rowel.store.journal import Journal
from rowel.store.transitions import Transitions

if TYPE_CHECKING:
    from rowel.engine.cluster.cluster import Cluster

#: What is closed with the engine, in this order.
Closers = list[PooledSandbox | ModelClient | HTTPClient | Turns]


class Role(Enum):
    """What a process does about runs."""

    #: Accepts them and moves them, and no other process works on the database.
    ALONE = "alone"
    #: One of many on Postgres: accepts runs, moves what the queue gives it, or both.
    ACCEPTS = "accepts"
    WORKS = "works"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much a process takes on at a time."""

    #: Runs that move here, for an engine that works alone.
    slots: int = 256
    #: Jobs of a worker: single runs, and lanes of batches.
    interactive: int = 32
    batch: int = 8
    #: Runs that may wait before more are refused.
    queue: int = 10_000
    #: Bytes of one upload.
    upload: int = MAX_UPLOAD
    #: Characters of JSON in the step cache.
    cache: int = MAX_SIZE


def build_engine(  # noqa: PLR0913  # everything that can be chosen is chosen here
    data: Path,
    *,
    database_url: str | None = None,
    files_url: str | None = None,
    environment: Mapping[str, str] | None = None,
    http_allow: Sequence[str] = (),
    limits: Limits | None = None,
    capacity: Capacity = Capacity(),  # frozen
    role: Role = Role.ALONE,
    pace: Pace = Pace(),  # noqa: B008  # frozen
    upkeep: Upkeep = Upkeep(),  # noqa: B008  # frozen
    services: Services | None = None,
    registry: Registry | None = None,
    clock: Clock | None = None,
    faults: Sequence[Fault] = (),
    observer: Observer | None = None,
) -> Engine:
    """Make an engine on the data directory `data`, which is made where it is missing.

    `database_url` names a Postgres to use instead of the directory's SQLite file; there the engine may be one of many,
    by its `role`. `files_url` names a bucket, or another directory, for the files. `environment` holds providers' keys
    and addresses, `http_allow` the `host:port` that HTTP nodes may reach although private, `limits` how often models
    may be called. `services`, `registry`,
    `clock` and `faults` are for tests; the `observer` is told what happens. Nothing is opened yet: `await
    engine.open()`. Raises `Invalid` where one of the URLs can't be meant.
    """
    data.mkdir(parents=True, exist_ok=True)
    database, files = _store(
        database_url or f"sqlite:///{data / 'rowel.db'}", files_url or str(data / "files"), faults
    )
    turns = Turns(limits, _allowances(database, role))
    used, closers = (
        (services, Closers()) if services else _services(files, environment or {}, http_allow, turns)
    )
    if observer is not None:
        database.writer.heard = observer.committed
        used = observer.watch(used)
    clock, registry = clock or SystemClock(), registry or load_registry()
    programs, takeovers, wakeups = Programs(registry), Takeovers(), Wakeups()
    dispatch, cluster = _dispatch(database, takeovers, wakeups, capacity, role, pace, upkeep)
    house = House(
        database=database,
        journal=Journal(database.writer, Transitions(database.dialect), has_workers=cluster is not None),
        programs=programs,
        workflows=Workflows(database, registry, programs, used, clock, is_shared=cluster is not None),
        services=used,
        files=files,
        clock=clock,
        wakeups=wakeups,
        dispatch=dispatch,
        upkeep=upkeep,
        cache=StepCache(database, clock, max_size=capacity.cache),
        places=Places(turns, dispatch),
        observer=observer,
    )
    return _engine(
        house,
        takeovers,
        registry,
        Shelves(house, upload_limit=capacity.upload),
        lock=DataDirectoryLock(data) if cluster is None else None,
        closers=[*closers, turns],
        cluster=cluster,
    )


def _store(url: str, root: str, faults: Sequence[Fault]) -> tuple[Database, FileStore]:
    if not faults:
        return Database(url), FileStore(root)
    from rowel.store.faults import faulty_dialect

    reach = Faults(faults).reach
    return Database(url, faulty_dialect(url, reach)), FileStore(root, lambda path: FaultyFile(path, reach))


def _allowances(database: Database, role: Role) -> Allowances | None:
    """What counts the calls of many processes; None where this one works alone."""
    if role is Role.ALONE:
        return None
    from rowel.store.allowances import SharedAllowances
    from rowel.store.postgres import Postgres

    return SharedAllowances(database.dialect, loop_time) if isinstance(database.dialect, Postgres) else None


def _dispatch(
    database: Database,
    takeovers: Takeovers,
    wakeups: Wakeups,
    capacity: Capacity,
    role: Role,
    pace: Pace,
    upkeep: Upkeep,
) -> tuple[LocalDispatch, Cluster | None]:
    """What moves runs: this process, or those that share the database with it."""
    if role is Role.ALONE:
        local = LocalDispatch(
            takeovers.take,
            takeovers.tell_owner,
            slots=capacity.slots,
            queue_limit=capacity.queue,
            grace_s=upkeep.grace,
        )
        return local, None
    from rowel.engine.cluster.build import build_cluster
    from rowel.store.postgres import Postgres

    dialect = database.dialect
    if not isinstance(dialect, Postgres):
        raise Invalid("Several processes share a Postgres, never a SQLite file: set ROWEL_DATABASE_URL.")

    crew = None if role is Role.ACCEPTS else (capacity.interactive, capacity.batch)
    return build_cluster(
        database,
        dialect,
        takeovers,
        wakeups,
        pace,
        queue_limit=capacity.queue,
        grace_s=upkeep.grace,
        crew=crew,
        only_works=role is Role.WORKS,
    )


def _engine(  # the shared parts
    house: House,
    takeovers: Takeovers,
    registry: Registry,
    shelves: Shelves,
    *,
    lock: DataDirectoryLock | None,
    closers: Closers,
    cluster: Cluster | None,
) -> Engine:
    """The commands over the shared parts."""
    batches, decisions = Batches(house), Decisions(house)
    starts = Starts(house, takeovers.read_news)
    means = starts.means
    if cluster is None:
        takeovers.join(house, batches, means, lambda job: BatchMover(house, means, job, takeovers.take_row))
    else:
        takeovers.join(house, batches, means, cluster.join(house, batches, means, takeovers))
    return Engine(
        house=house,
        registry=registry,
        starts=starts,
        reruns=Reruns(house, starts),
        batches=batches,
        decisions=decisions,
        cancels=Cancels(house),
        receipts=Receipts(house),
        shelves=shelves,
        timers=Timers(house, decisions, moves_runs=cluster is None),
        lock=lock,
        closers=closers,
        cluster=cluster,
    )


def _services(
    files: FileStore, environment: Mapping[str, str], http_allow: Sequence[str], turns: Turns
) -> tuple[Services, Closers]:
    blobs, http = StoredBlobs(files), HTTPClient(http_allow)
    sandbox, llm = PooledSandbox(), ModelClient(environment, blobs, http, turns=turns)
    services = Services(sandbox=sandbox, llm=llm, http=http, blobs=blobs, environment=environment)
    return services, [sandbox, llm, http]
